import numpy as np
from PIL import Image

from vinfo_mpi.pages import sheets


def smooth(*shape):
    """Return tiles that differ and that WebP can hold: a colour each."""
    colours = np.random.default_rng(0).integers(0, 256, (*shape, 1, 1, 3), np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (*shape, 24, 24, 3)))


def test_tiles_lie_in_rows_and_columns(tmp_path):
    tiles = smooth(3, 4)
    sheets.write_tiles(tmp_path / "sheet.webp", tiles, 90)
    sheet = np.asarray(Image.open(tmp_path / "sheet.webp").convert("RGB"), float)
    assert sheet.shape == (72, 96, 3)
    for row, column in ((0, 0), (1, 3), (2, 1)):
        middle = sheet[24 * row + 8 : 24 * row + 16, 24 * column + 8 : 24 * column + 16]
        assert np.abs(middle.mean((0, 1)) - tiles[row, column].mean((0, 1))).max() < 12


def test_transparency_is_kept(tmp_path):
    tiles = np.concatenate([smooth(1, 2), np.zeros((1, 2, 24, 24, 1), np.uint8)], -1)
    tiles[0, 1, :, :, 3] = 255
    sheets.write_tiles(tmp_path / "sheet.webp", tiles, 90)
    opaque = np.asarray(Image.open(tmp_path / "sheet.webp"))[:, :, 3]
    assert (opaque[:, :24] == 0).all() and (opaque[:, 24:] == 255).all()


def test_thumbnails_are_small():
    images = np.random.default_rng(0).integers(0, 256, (20, 96, 96, 3), np.uint8)
    tiles = sheets.thumbnail_tiles(images)
    assert tiles.shape == (2, 10, sheets.THUMBNAIL, sheets.THUMBNAIL, 3)
    expected = np.asarray(Image.fromarray(images[13]).resize((48, 48), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(tiles[1, 3], expected)
    np.testing.assert_array_equal(
        sheets.thumbnail_tiles(images[:10, :32, :32])[0], images[:10, :32, :32]
    )
