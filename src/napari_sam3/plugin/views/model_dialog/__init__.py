"""The dialog that gets a model's weights: licence, access, download, a folder of one's own."""

from napari_sam3.plugin.views.model_dialog.dialog import GetModelDialog

__all__ = ["GetModelDialog"]
