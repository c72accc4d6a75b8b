from .availability import (
    TOKEN_PAGE as TOKEN_PAGE,
    State as State,
    WeightsState as WeightsState,
    format_bytes as format_bytes,
    is_loaded as is_loaded,
    note_closed as note_closed,
    note_loaded as note_loaded,
    state_of as state_of,
)
from .catalogue import (
    FAMILIES as FAMILIES,
    KNOWN as KNOWN,
    Family as Family,
    GiB as GiB,
    Licence as Licence,
    Weights as Weights,
)
from .hub import (
    Account as Account,
    ask_hub as ask_hub,
    save_token as save_token,
    who_am_i as who_am_i,
)
from .local_files import (
    find_weights as find_weights,
    hub_cache as hub_cache,
    read_family as read_family,
    size_of as size_of,
)
from .own_models import forget as forget, use_folder as use_folder
from .resumable_download import download as download
from .sources import all_weights as all_weights, find_source as find_source
