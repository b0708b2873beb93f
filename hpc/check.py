"""Two ranks write one small file the way the store will: fails where two MPIs are mixed."""

import sys
import tempfile
from pathlib import Path

import h5py
from mpi4py import MPI

comm = MPI.COMM_WORLD
parallel = sys.argv[1] == "system"
if comm.size != 2:
    sys.exit(
        f"setup: mpirun started {comm.size} ranks instead of 2: "
        "mpirun and mpi4py belong to different MPIs"
    )
if bool(h5py.get_config().mpi) != parallel:
    sys.exit(f"setup: h5py should be {'parallel' if parallel else 'serial'} here and is not")
if parallel:
    folder = comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None)
    path = Path(folder, "check.h5")
    with h5py.File(path, "w", driver="mpio", comm=comm) as file:
        rows = file.create_dataset("rows", (2,), "i8")
        with rows.collective:
            rows[comm.rank] = comm.rank + 1
    with h5py.File(path, "r") as file:
        if file["rows"][()].tolist() != [1, 2]:
            sys.exit(
                "setup: the two ranks did not write one file: h5py and mpi4py use different MPIs"
            )
    comm.Barrier()
    if comm.rank == 0:
        path.unlink()
        path.parent.rmdir()
if comm.rank == 0:
    library = MPI.Get_library_version().split(",")[0].split("\n")[0]
    print(
        f"setup: {library}, h5py {h5py.__version__} on HDF5 {h5py.version.hdf5_version}, "
        f"parallel: {parallel}"
    )
