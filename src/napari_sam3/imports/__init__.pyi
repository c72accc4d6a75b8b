from .label_file import LabelFile as LabelFile
from .open import open_labels as open_labels
from .prompts import prompt_with_labels as prompt_with_labels
