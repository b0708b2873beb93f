"""Run the whole pipeline, bringing every stage up to date, and show a summary.

mpirun -n 8 python -m vinfo_mpi config/quickstart.yaml
python -m vinfo_mpi init mine.yaml, to begin with: a configuration with every setting.

Single stages: python -m vinfo_mpi.train, .extract, .dictionary, .encode, .score, .importance,
.dynamics, .visualise, .report.
Any of our files, for people: python -m vinfo_mpi.inspect FILE.
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main(None, __doc__)
