from .checks import Check as Check, CheckFile as CheckFile
from .places import Place as Place
from .queue import Review as Review, review_labels as review_labels
from .reasons import KINDS as KINDS, Reason as Reason
