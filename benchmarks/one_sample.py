"""One sample of a million read pairs: the pipeline's steps beside the same tools run from a shell.

    python benchmarks/one_sample.py [--pairs 1000000]

Simulates read pairs of 2 x 150 bases as the demo does, from its genomes and host, and runs the
steps of a sample (check_reads, clean_reads with host removal, classify_reads) through Snakemake.
Then fastp | bowtie2 | samtools, and kraken2, with the very command lines that these steps logged,
are run by bash. Prints processor seconds (user and system, of all processes) and their ratio, and
the largest sum of files beyond the input that stood on disk at any time. Snakemake's own start and
planning, measured as the same command once nothing is left to do, is given apart. Needs the demo
to have been run (`make demo`).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import yaml
from isal import igzip

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/demo"))

import simulate

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "runs/demo"
READ_BP, INSERT_MEAN_BP, INSERT_SD_BP = 150, 350, 40
CHUNK_PAIRS = 50_000
SEED = 20240608


def write_reads(folder: Path, pairs: int) -> list[Path]:
    """Simulate the pairs in pieces, so that memory stays small; 2 % of them are the host's."""
    simulate.READ_BP, simulate.INSERT_MAX_BP = READ_BP, 600
    simulate.INSERT_MEAN_BP, simulate.INSERT_SD_BP = INSERT_MEAN_BP, INSERT_SD_BP
    community = simulate.read_community(simulate.COMMUNITY_TABLE)
    # The demo's own genomes: the same seed, and the same order of draws, as write_cohort.
    rng = np.random.default_rng([simulate.SEED, 0])
    *microbes, host = community
    genomes = simulate.build_genomes(microbes, rng)
    genomes[host.taxon_id] = [simulate.random_sequence(rng, host.genome_bp, host.gc_percent)]
    unknown = simulate.random_sequence(rng, simulate.UNKNOWN_GENOME_BP, 48)
    genomes[simulate.UNKNOWN_TAXON_ID] = [unknown]
    pool = simulate.ContigPool(genomes)
    rng = np.random.default_rng(SEED)
    files = [folder / f"S1_R{mate}.fastq.gz" for mate in (1, 2)]
    with igzip.open(files[0], "wb", compresslevel=3) as r1, igzip.open(files[1], "wb", 3) as r2:
        for tile, start in enumerate(range(0, pairs, CHUNK_PAIRS), start=1101):
            sample = simulate.Sample("S1", "control", fragments=min(CHUNK_PAIRS, pairs - start))
            mates = simulate.sequence_fragments(
                pool, simulate.draw_fragments(microbes, sample, rng), rng
            )
            y = rng.integers(10_000, 100_000, sample.fragments)
            for mate, (out, (bases, qualities)) in enumerate(zip((r1, r2), mates, strict=True), 1):
                out.write(simulate.fastq_bytes(bases, qualities, y, 1, tile, mate))
    return files


class Watch(threading.Thread):
    """The largest size of a folder, and its files then; looked at ten times a second."""

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.most, self.files = folder, 0, {}
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.1):
            found = {}
            for path in self.folder.rglob("*"):
                try:
                    if path.is_file():
                        found[str(path.relative_to(self.folder))] = path.stat().st_size
                except FileNotFoundError:
                    continue
            if sum(found.values()) > self.most:
                self.most, self.files = sum(found.values()), found

    def stop(self) -> int:
        self._end.set()
        self.join()
        return self.most


def processor_seconds(command: list[str] | str) -> tuple[float, float]:
    """User and system seconds of a command with all its children, and wall seconds."""
    start = time.perf_counter()
    words = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else command
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(words, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            said.seek(0)
            sys.exit(said.read().decode())
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1, help="runs of each way, the least counts")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    if not (DEMO / "results/conclusion.txt").exists():
        sys.exit("run `make demo` first: this uses its database and host index")
    with tempfile.TemporaryDirectory(dir=ROOT / "runs") as name:
        reads, run = Path(name, "reads"), Path(name, "run")
        reads.mkdir()
        files = write_reads(reads, arguments.pairs)
        size = sum(file.stat().st_size for file in files)
        cpu: dict[str, list[float]] = {}
        disk = 0
        for _ in range(arguments.runs):
            seconds, most, files_then = measure(run, files, arguments.cores)
            disk = max(disk, most)
            for way, value in seconds.items():
                cpu.setdefault(way, []).append(value)
    least = {way: min(values) for way, values in cpu.items()}
    steps = least["pipeline"] - least["pipeline, nothing to do"]
    print(
        f"{arguments.pairs} pairs of 2 x {READ_BP} bp, {size / 1e6:.0f} MB, {arguments.runs} runs"
    )
    print("what\tcpu_s")
    for way, value in least.items():
        print(f"{way}\t{value:.1f}")
    print(f"ratio\t{steps / least['bare tools']:.2f}")
    without = steps - least["check_reads"] + least["start of Python"]
    print(f"ratio without check_reads\t{without / least['bare tools']:.2f}")
    print(f"most on disk beyond the input\t{disk / 1e6:.0f} MB, {disk / size:.2f} of it")
    for file, n_bytes in sorted(files_then.items(), key=lambda item: -item[1])[:4]:
        print(f"  {file}\t{n_bytes / 1e6:.1f} MB")


def measure(
    run: Path, files: list[Path], cores: int
) -> tuple[dict[str, float], int, dict[str, int]]:
    """Processor seconds by way; the most on disk in bytes, and which files these were."""
    subprocess.run(["rm", "-rf", run], check=True)
    run.mkdir()
    sheet = f"sample\trun\tfastq_1\tfastq_2\nS1\tL1\t{files[0]}\t{files[1]}\n"
    (run / "samples.tsv").write_text(sheet)
    settings = {
        "samples": "samples.tsv",
        "host": {"index": str(DEMO / "resources/host/index")},
        "databases": {"shotgun": {"path": str(DEMO / "resources/databases/shotgun")}},
        "cohort": {"group": "", "reference": ""},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    snakemake += ["--directory", str(run), "--configfile", str(run / "config.yaml")]
    snakemake += ["--workflow-profile", str(ROOT / "workflow/profiles/default")]
    snakemake += ["--cores", str(cores), "--quiet", "all", "--"]
    # What a cohort shares is no cost of one sample.
    processor_seconds([*snakemake, "results/provenance/database.shotgun.json"])
    target = "results/profile/shotgun/S1.profile.json"
    before = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    watch = Watch(run)
    watch.start()
    seconds = {"pipeline": processor_seconds([*snakemake, target])[0]}
    most = watch.stop() - before
    seconds["pipeline, nothing to do"] = processor_seconds([*snakemake, target])[0]

    check = "import sys; from moodbiome.fastq import check_fastq; print(check_fastq(sys.argv[1:]))"
    python = f"PYTHONPATH={ROOT / 'scripts'} {sys.executable} -c"
    seconds["check_reads"] = processor_seconds(f"{python} '{check}' {files[0]} {files[1]}")[0]
    seconds["start of Python"] = processor_seconds(f"{python} 'import moodbiome.fastq'")[0]
    logs = run / "logs"
    clean = (logs / "clean_reads/shotgun/S1/L1.log").read_text()
    kraken = (logs / "classify_reads/shotgun/S1.log").read_text()
    lines = [text.splitlines()[0].removeprefix("$ ") for text in (clean, kraken)]
    # Watched as the pipeline was, since watching takes from the same cores.
    watch_tools = Watch(run)
    watch_tools.start()
    tools = [processor_seconds(f"cd {run}; {line}")[0] for line in lines]
    watch_tools.stop()
    seconds |= {"bare tools": sum(tools), "of which cleaning": tools[0]}
    return seconds, most, watch.files


if __name__ == "__main__":
    main()
