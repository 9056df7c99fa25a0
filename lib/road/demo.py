"""The detector in a browser: `make demo` builds build/demo/, a page without a server.

The page's own text stands in lib/road/page/. What it needs of others is put beside it:
the shipped integer files, a float one exported here, grounds and test scenes drawn by
`drawing`, and onnxruntime-web, which npm fetches once and whose SHA-512 is compared.
All of it is packed into scripts (gzip, base64), for a page that is opened from a disk
may read nothing else. Nothing is fetched when the page is looked at.

    python -m lib.road.demo
"""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from os import PathLike
from pathlib import Path

import numpy as np
import torch

import lib
from lib.basics import data, drawing
from lib.compression import export
from lib.detection import detectors

PAGE = lib.ROOT / "lib" / "road" / "page"
DEMO = lib.ROOT / "build" / "demo"
WEIGHTS = lib.ROOT / "data" / "weights"
KEPT = lib.ROOT / "data" / ".cache"

# The registry's own word for this version: `npm view onnxruntime-web@1.30.0 dist`.
PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1Sig"
    "qR4CXAfKYQ=="
)
SCRIPT = "package/dist/ort.wasm.min.js"
LOADER = "package/dist/ort-wasm-simd-threaded.mjs"
MACHINE = "package/dist/ort-wasm-simd-threaded.wasm"
SECONDS = 300  # for npm to fetch 30 MB

NETWORKS = {  # file: what the page calls it
    "detector_plain": "floats",
    "detector_plain_int8": "integers",
    "detector_pruned_int8": "integers, pruned",
}
GROUNDS = 12
SCENES = 12
SIZE = 128


class NoRuntime(RuntimeError):
    """onnxruntime-web is not to be had; the message says why, in one line."""


def fits(content: bytes, integrity: str = INTEGRITY) -> bool:
    """True if a file is the one that the registry's `sha512-...` names."""
    kind, _, wanted = integrity.partition("-")
    digest = hashlib.new(kind, content).digest()
    return base64.b64encode(digest).decode("ascii") == wanted


def archive(folder: str | PathLike = KEPT) -> bytes:
    """The package as the registry has it, from `folder` or by npm; then kept there.

    NoRuntime where there is no npm, no registry, or another file than the pinned one.
    """
    kept = Path(folder) / f"{PACKAGE}-{VERSION}.tgz"
    if kept.is_file() and fits(kept.read_bytes()):
        return kept.read_bytes()
    content = _fetch()
    if not fits(content):
        raise NoRuntime(f"{PACKAGE} {VERSION} from npm is not the file that is pinned")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    return content


def _fetch() -> bytes:
    """The package by `npm pack`, which runs no script of it."""
    npm = shutil.which("npm")
    needs = f"the page needs {PACKAGE} {VERSION} from the npm registry, once"
    if npm is None:
        raise NoRuntime(f"{needs}; here is no npm (it comes with Node.js)")
    with tempfile.TemporaryDirectory() as folder:
        call = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
        call += ["--fetch-retries=1", "--fetch-timeout=60000"]
        try:
            subprocess.run(
                call, cwd=folder, timeout=SECONDS, check=True, capture_output=True
            )
            return next(Path(folder).glob("*.tgz")).read_bytes()
        except (subprocess.SubprocessError, OSError, StopIteration) as error:
            raise NoRuntime(f"{needs}; npm could not fetch it from here") from error


def member(content: bytes, name: str) -> bytes:
    """One file of a package. NoRuntime if it has none of that name."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        with tarfile.open(fileobj=file) as package:
            try:
                return package.extractfile(name).read()
            except KeyError as error:
                raise NoRuntime(f"{PACKAGE} {VERSION} has no {name}") from error


def packed(content: bytes) -> str:
    """Bytes as text for a script: gzip (without a date), then base64.

    >>> gzip.decompress(base64.b64decode(packed(b"ink")))
    b'ink'
    """
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _script(files: dict[str, bytes], **values) -> str:
    """A script that adds files to PACKED and sets constants."""
    lines = ["globalThis.PACKED ??= {};"]
    for name, content in files.items():
        lines.append(f'PACKED["{name}"] = "{packed(content)}";')
    for name, value in values.items():
        lines.append(f"const {name} = {json.dumps(value)};")
    return "\n".join(lines) + "\n"


def runtime(package: bytes) -> str:
    """onnxruntime-web as one script: its own, then the parts that it would fetch."""
    parts = {
        "runtime.mjs": member(package, LOADER),
        "runtime.wasm": member(package, MACHINE),
    }
    own = member(package, SCRIPT).decode("utf-8")
    return own + "\n" + _script(parts)


def networks() -> str:
    """The networks as one script: two shipped files, and the floats written here."""
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            path = WEIGHTS / f"{name}.onnx"
            if not path.is_file():
                path = Path(folder) / path.name
                model = detectors.shipped(name.removeprefix("detector_"))
                export.to_onnx(model, torch.zeros(1, 3, SIZE, SIZE), path)
            network = export.Network(path)  # a shipped file's SHA-256 is compared
            files[name] = path.read_bytes()
    config = network.config
    facts = {key: getattr(config, key) for key in ("image_size", "mean", "std")}
    facts["anchors"] = vars(config.anchors)
    told = [
        {"name": name, "words": words, "kilobytes": round(len(files[name]) / 1000)}
        for name, words in NETWORKS.items()
    ]
    return _script(files, NETWORKS=told, FACTS=facts)


def pictures() -> str:
    """Grounds without grain to draw on, and the first test scenes, as one script."""
    mille = round(1000 * detectors.DIFFICULTY)
    dice = drawing.Dice("demo")
    canvas, grey = drawing.ground(dice, GROUNDS, SIZE, mille)
    inks = drawing.inks(dice, grey, mille)
    grain = drawing.mix(4, 30, mille)  # as `drawing.develop`
    files, grounds, scenes = {}, [], []
    for i in range(GROUNDS):
        files[f"ground {i}"] = canvas[i].astype("<i2").tobytes()
        ink = inks[i].tolist()
        grounds.append({"name": f"ground {i}", "ink": ink, "grain": grain})
    drawn = detectors.scenes("test", SCENES)
    for i in range(SCENES):
        sample = drawn[i]
        files[f"scene {i}"] = sample.image.numpy().tobytes()
        labels = [data.Scenes.names[k] for k in sample.labels.tolist()]
        scenes.append({"name": f"scene {i}", "ink": _ink(sample), "labels": labels})
    return _script(files, GROUNDS=grounds, SCENES=scenes)


def _ink(sample) -> list[int]:
    """An ink for a scene that has its pixels already: light on dark, dark on light."""
    grey = np.array([int(sample.image.float().mean())])
    mille = round(1000 * detectors.DIFFICULTY)
    return drawing.inks(drawing.Dice("demo", sample.image_id), grey, mille)[0].tolist()


def build(folder: str | PathLike = DEMO, package: bytes | None = None) -> Path:
    """Build the page into a folder; gives its index.html.

    `package` is the archive of onnxruntime-web, by default `archive()`. NoRuntime if it
    is not to be had; then nothing is written.
    """
    package = archive() if package is None else package
    scripts = {
        "runtime.js": runtime(package),
        "networks.js": networks(),
        "pictures.js": pictures(),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in PAGE.iterdir():
        shutil.copy(path, folder)
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return folder / "index.html"


def main() -> None:
    """Build the page, say where it is; one line and an exit status of 1 if not."""
    try:
        page = build()
    except NoRuntime as error:
        sys.exit(f"make demo: {error}.")
    size = sum(path.stat().st_size for path in page.parent.iterdir())
    print(f"{page} ({size / 1e6:.1f} MB with all it needs): open it in a browser")


if __name__ == "__main__":
    main()
