"""Many samples against one large database: the pipeline beside a plain loop over the same tools.

python benchmarks/classify_cohort.py [--samples 24] [--gigabytes 4] [--runs 1]

Builds a Kraken2 database whose table has the given size (the demo's genomes, a low load factor),
copies demo samples, and cleans and classifies them twice: in a shell loop that calls fastp,
bowtie2, samtools and kraken2 one sample after another, loading the database each time; and by
Snakemake with this workflow. Prints wall seconds, their ratio, and (as root, which can empty the
page cache and mount a file system) the bytes read from storage against the size of the database:
of everything, and of the database's own files alone, which lie on a block device of their own, an
image mounted through a loop, whose reads the kernel counts.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "runs/demo"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--stage", default="", help="the setting databases.stage")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    if not (DEMO / "results/conclusion.txt").exists():
        raise SystemExit("run `make demo` first: this uses its genomes, reads and host index")
    root = os.geteuid() == 0
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "runs")))
        database = build(folder / "database", arguments.gigabytes)
        size = sum(file.stat().st_size for file in database.glob("*.k2d"))
        device = ""
        if root:
            database, device = ends.enter_context(own_device(database, folder))
        pairs = copy_samples(folder, arguments.samples)
        loop, pipeline, read, of_database = [], [], [], []
        for number in range(arguments.runs):
            run = folder / f"run{number}"
            seconds, *_ = timed(device, run_loop, folder, database, pairs, arguments.cores)
            loop.append(seconds)
            given = (run, folder, database, arguments.cores, arguments.stage)
            seconds, n_bytes, own = timed(device, run_pipeline, *given)
            pipeline.append(seconds)
            read.append(n_bytes)
            of_database.append(own)
    print(f"{arguments.samples} samples, database {size / 1e9:.2f} GB, {arguments.cores} cores")
    print(f"shell loop        {median(loop):8.1f} s")
    print(f"this workflow     {median(pipeline):8.1f} s")
    print(f"ratio             {median(pipeline) / median(loop):8.2f}")
    if root:
        print(f"read from storage {median(read) / size:8.2f} of the database's size")
        print(f"  of its own files{median(of_database) / size:8.2f}")
    else:
        print("read from storage: not measured, which needs root")


def build(folder: Path, gigabytes: float) -> Path:
    """A database whose table has about the given size; the demo's own is 0.7 full."""
    demo = DEMO / "resources/databases/shotgun/hash.k2d"
    load = 0.7 * demo.stat().st_size / (gigabytes * 1e9)
    (folder / "taxonomy").mkdir(parents=True)
    for name in ("nodes.dmp", "names.dmp"):
        (folder / "taxonomy" / name).write_bytes((DEMO / "cohort/taxonomy" / name).read_bytes())
    library = folder / "library.fna"
    genomes = sorted((DEMO / "cohort/genomes").glob("*.fna"))
    library.write_text("".join(file.read_text() for file in genomes))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    kraken = ["kraken2-build", "--db", str(folder), "--no-masking"]
    subprocess.run([*kraken, "--add-to-library", str(library)], **quiet)
    subprocess.run([*kraken, "--build", "--load-factor", f"{load:.8f}"], **quiet)
    for file in (DEMO / "resources/databases/shotgun").glob("*.kmer_distrib"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@contextlib.contextmanager
def own_device(database: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """The database moved to a block device of its own, and that device's name."""
    image, place = folder / "image", folder / "mounted"
    place.mkdir()
    files = [file for file in database.iterdir() if file.suffix in (".k2d", ".kmer_distrib")]
    with image.open("wb") as empty:
        empty.truncate(int(1.1 * sum(file.stat().st_size for file in files)) + 2**27)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, place], check=True)
    try:
        for file in files:
            shutil.copy(file, place)
        shutil.rmtree(database)
        found = subprocess.run(["findmnt", "-no", "SOURCE", place], capture_output=True, text=True)
        yield place, Path(found.stdout.strip()).name
    finally:
        subprocess.run(["umount", place], check=True)


def copy_samples(folder: Path, n_samples: int) -> list[tuple[Path, Path]]:
    """Demo reads under new names, and the sheet that lists them."""
    sources = sorted((DEMO / "cohort/reads").glob("[CD]??_L1_R1.fastq.gz"))
    sources = [file for file in sources if Path(str(file).replace("_R1", "_R2")).exists()]
    pairs, rows = [], ["sample\tfastq_1\tfastq_2"]
    for number in range(n_samples):
        source = sources[number % len(sources)]
        pair = (folder / f"S{number}_R1.fastq.gz", folder / f"S{number}_R2.fastq.gz")
        pair[0].write_bytes(source.read_bytes())
        pair[1].write_bytes(Path(str(source).replace("_R1", "_R2")).read_bytes())
        pairs.append(pair)
        rows.append(f"S{number}\t{pair[0].name}\t{pair[1].name}")
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n")
    return pairs


def run_loop(folder: Path, database: Path, pairs: list[tuple[Path, Path]], cores: int) -> None:
    index = DEMO / "resources/host/index"
    for r1, r2 in pairs:
        clean = [str(file).replace(".fastq", ".clean.fastq") for file in (r1, r2)]
        command = (
            f"fastp --in1 {r1} --in2 {r2} --json /dev/null --html /dev/null --thread {cores}"
            f" --length_required 50 --stdout | bowtie2 -x {index} --threads {cores}"
            f" --interleaved - | samtools fastq -c 2 -n -f 12 -1 {clean[0]} -2 {clean[1]} -0"
            f" /dev/null - ; kraken2 --db {database} --threads {cores} --confidence 0.1 --paired"
            f" --gzip-compressed --report {r1}.txt --report-minimizer-data --output -"
            f" {shlex.join(clean)}"
        )
        subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)


def run_pipeline(run: Path, folder: Path, database: Path, cores: int, stage: str) -> None:
    run.mkdir()
    settings = {
        "samples": str(folder / "samples.tsv"),
        "host": {"index": str(DEMO / "resources/host/index")},
        "databases": {"shotgun": {"path": str(database)}, "stage": stage},
        "cohort": {"group": "", "reference": ""},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    targets = [
        f"results/profile/shotgun/{line.split()[0]}.profile.json"
        for line in (folder / "samples.tsv").read_text().splitlines()[1:]
    ]
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", run, "--configfile", run / "config.yaml", "--cores", cores]
    command += ["--workflow-profile", ROOT / "workflow/profiles/default", "--quiet", "all"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def timed(device: str, work: Callable[..., None], *arguments: Any) -> tuple[float, int, int]:
    """Wall seconds of a call with a cold page cache; bytes read: of all, of the device."""
    os.sync()
    if os.geteuid() == 0:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    all_before, own_before, start = storage_bytes(), device_bytes(device), time.monotonic()
    work(*arguments)
    seconds, own = time.monotonic() - start, device_bytes(device) - own_before
    # What is read from the image is counted again where the image lies.
    return seconds, storage_bytes() - all_before - own, own


def storage_bytes() -> int:
    """Bytes the machine has read from storage since it started."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("pgpgin ")))


def device_bytes(device: str) -> int:
    """Bytes read from a block device; the third number of its statistics is sectors of 512."""
    return 512 * int(Path(f"/sys/block/{device}/stat").read_text().split()[2]) if device else 0


if __name__ == "__main__":
    main()
