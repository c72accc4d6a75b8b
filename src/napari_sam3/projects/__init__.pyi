from .folders import (
    is_project as is_project,
    list_projects as list_projects,
    project_for as project_for,
)
from .packing import pack_project as pack_project, unpack_project as unpack_project
from .project import Project as Project
from .session import (
    ProjectSession as ProjectSession,
    continue_run as continue_run,
    open_session as open_session,
)
from .state import ProjectState as ProjectState, RunNote as RunNote
from .tracking import ProjectRun as ProjectRun
from .video_reference import VideoReference as VideoReference
