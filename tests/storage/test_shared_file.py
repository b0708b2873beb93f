import pytest
from mpi4py import MPI

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage import shared_file


@pytest.mark.skipif(MPI.get_vendor()[0] != "Open MPI", reason="others take any name")
def test_names_that_would_end_open_mpi_are_refused(tmp_path):
    room = shared_file.LONGEST_NAME - len(str(tmp_path)) - 1
    shared_file._check_length(tmp_path / ("x" * room))
    with pytest.raises(InputError, match=r"its name is 236 bytes .*machine\.storage: virtual"):
        shared_file._check_length(tmp_path / ("x" * (room + 1)))
    with pytest.raises(InputError, match="its name is"):
        shared_file._check_length(tmp_path / ("é" * room))
