"""Results to a file or folder: which formats there are, what each keeps, and where it goes."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.export.pictures import KINDS, Kind
from napari_sam3.export.registry import FORMATS, KEPT, Format
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.io.writers import write_results

YES = "✓"
SIZE = (680, 470)

ask_file = QFileDialog.getSaveFileName


def export_results(
    tracking: TrackingController, name: str, path: Path, images: Kind | None = None
) -> Path:
    """Write the results of the chosen video in a format; what is there under that name is replaced.

    It is written in a thread, with a bar and a way to stop; half a file is never left.

    Parameters
    ----------
    tracking : TrackingController
        With the results.
    name : str
        Of `napari_sam3.export.registry.FORMATS`.
    path : Path
        The file or folder to make.
    images : "jpg" or "png", optional
        Have the frames go along, for formats that can.

    Raises
    ------
    LayerError
        If there are no results.
    VideoError
        If it can't be written, or was stopped.
    """
    image_layer, results = tracking.video(), tracking.results
    if results is None:
        raise LayerError("there are no results to export yet; press Segment frame or Propagate")
    axes = tracking.axes.read(image_layer)
    write_results(name, str(path), image_layer, results.layer, axes, images)
    return path


class ExportDialog(QDialog):
    """A table of the formats; the one chosen is asked for its place, and written.

    Parameters
    ----------
    tracking : TrackingController
        With the results.
    parent : QWidget, optional
    """

    def __init__(self, tracking: TrackingController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tracking = tracking
        self.setWindowTitle("Export results")
        self.formats = QTableWidget(len(FORMATS), 1 + len(KEPT))
        self.formats.setHorizontalHeaderLabels(["format", *KEPT])
        for row, (name, chosen) in enumerate(FORMATS.items()):
            self._fill(row, name, chosen)
        table = self.formats
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        numbers, header = table.verticalHeader(), table.horizontalHeader()
        assert numbers is not None, "a table has it"
        assert header is not None, "a table has it"
        numbers.hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        table.setToolTip("A tick says that the format keeps it beside what it is made for.")
        self.images = QComboBox()
        self.images.addItem("without the frames", None)
        for kind in KINDS:
            self.images.addItem(f"with the frames ({kind})", kind)
        self.images.setToolTip(
            "Write the video's frames as well: pictures that the file names lead to, or the image "
            "of an OME-Zarr."
        )
        table.currentCellChanged.connect(lambda *_: self._offer_frames())
        table.selectRow(0)
        self._offer_frames()
        table.doubleClicked.connect(lambda _index: self.accept())
        hint = QLabel("The project keeps everything by itself; this is for other programs.")
        hint.setWordWrap(True)
        self.choose, cancel = QPushButton("Choose where …"), QPushButton("Cancel")
        self.choose.setToolTip("Name the file or folder, then write it. It can be stopped.")
        cancel.setToolTip("Write nothing.")
        buttons = QDialogButtonBox()
        buttons.addButton(self.choose, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (hint, table, self.images, buttons):
            layout.addWidget(widget)
        self.resize(*SIZE)

    def _fill(self, row: int, name: str, chosen: Format) -> None:
        item = QTableWidgetItem(f"{chosen.summary}  ({chosen.target})")
        item.setData(Qt.ItemDataRole.UserRole, name)
        self.formats.setItem(row, 0, item)
        for column, what in enumerate(KEPT, 1):
            cell = QTableWidgetItem(YES if what in chosen.keeps else "")
            cell.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            cell.setToolTip(f"keeps {what}" if what in chosen.keeps else f"keeps no {what}")
            self.formats.setItem(row, column, cell)

    def _offer_frames(self) -> None:
        self.images.setEnabled(FORMATS[self.name].takes_frames)

    @property
    def chosen_images(self) -> Kind | None:
        """The pictures to be written, if the format takes some."""
        return self.images.currentData() if self.images.isEnabled() else None

    @property
    def name(self) -> str:
        """Of the format chosen."""
        item = self.formats.item(self.formats.currentRow(), 0)
        assert item is not None, "one is always chosen"
        return str(item.data(Qt.ItemDataRole.UserRole))

    def accept(self) -> None:
        """Ask for the place, and write; the dialog stays if nothing was written."""
        place = ask_for_place(self, self.name, default_place(self._tracking, self.name))
        if place is None:
            return
        try:
            export_results(self._tracking, self.name, place, self.chosen_images)
        except (Sam3Error, ValueError) as exc:
            show_error(str(exc))
            return
        show_info(f"The results are in {place}")
        super().accept()


def default_place(tracking: TrackingController, name: str) -> Path:
    """Beside the video, by the video's name; in the person's folder where it is no file."""
    target = FORMATS[name].target.rstrip("/")
    current = tracking.state.current
    source = None if current is None else current.source
    video = None if source is None else source.path
    return Path.home() / target if video is None else video.parent / f"{video.stem}-{target}"


def with_suffix(place: Path, name: str) -> Path:
    """The place as the format wants it to end; what ends so already stays."""
    target = Path(FORMATS[name].target.rstrip("/"))
    suffix = "".join(target.suffixes)
    return (
        place
        if place.name.lower().endswith(target.suffix)
        else place.with_name(place.name + suffix)
    )


def ask_for_place(parent: QWidget, name: str, default: Path) -> Path | None:
    """Ask where to write a format; None if nothing was chosen."""
    chosen = FORMATS[name]
    suffix = Path(chosen.target.rstrip("/")).suffix
    kinds = f"{chosen.summary} (*{suffix})" if suffix else f"{chosen.summary}: a folder (*)"
    path, _ = ask_file(parent, f"Export: {chosen.summary}", str(default), kinds)
    return with_suffix(Path(path), name) if path else None
