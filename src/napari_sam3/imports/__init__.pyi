from .found_prompts import FoundPrompt as FoundPrompt, FoundPrompts as FoundPrompts
from .label_file import LabelFile as LabelFile
from .open import open_labels as open_labels
from .prompt_files import find_prompts as find_prompts, open_prompts as open_prompts
from .prompts import prompt_with_labels as prompt_with_labels
