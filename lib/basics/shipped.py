"""What the course ships, by SHA-256, in the code itself.

Beside each file stands its sum, so that a file cut short is noticed. Who changes a file
can change that sum with it; these here change only with the code. A script that trains
weights anew ends with this table to be written anew: tests/test_shipped.py says how.
Support for `checkpoints`, `tabular` and `export`.
"""

from pathlib import Path

import lib

SHA256 = {
    "digits/manifest.json": (
        "67f32c26d2ceb7b3f5444a87409e535a784bad4dc3bb9d7863a350629404318c"
    ),
    "tabular/small.jsonl": (
        "1377953a047afd9e823c7fc2e4312172b85c2068191eed559a2b8b7c988bd535"
    ),
    "tabular/second.jsonl": (
        "7a34f1c7dc90899ebe9f84695e823d0997ccdba594e82d1c552f0c3641874db8"
    ),
    "weights/detector_plain_int8.onnx": (
        "f977b7adc2fa1253cdd26e4fafde6069f237360d28516f95ee9ae1c5639014c4"
    ),
    "weights/detector_pruned_int8.onnx": (
        "05b3d79d3d83d8f670eeee0392c84b4135593e522c4b24caa6b9de3c8a12aaf2"
    ),
    "weights/backbone_course.safetensors": (
        "ef124a0da687a1360fa1be33f756eb220428fffe1abefd7f9c547c1ccc88e924"
    ),
    "weights/backbone_lite.safetensors": (
        "026a11b27028e53d0c008cf743d0169234cf48c898e1217f491c991c87f54e34"
    ),
    "weights/backbone_plain.safetensors": (
        "4f0c35516409b19204f8d55ea06a53943cf177862291492dcbed7f925cd57e91"
    ),
    "weights/detector_course.safetensors": (
        "343a02bd1e260fe737e77e49eeaa56c356471994e1f2944f3c147eb720a5896a"
    ),
    "weights/detector_lite.safetensors": (
        "30a7a864de8a23a033b917b74e0c857e24df2c447e53ae6c2711e8ef14a72453"
    ),
    "weights/detector_plain.safetensors": (
        "2afb7183a9664e92f04cfebaf4976ad5f956ba1241fec039342ac9edb27047ee"
    ),
    "weights/detector_pruned.safetensors": (
        "2a0a164dd6fec18b26be5b0cad540ceda01c223e38963572daa72865e26370fd"
    ),
    "weights/digits_cnn.safetensors": (
        "88e1e8ec18fa25ea393eaac1b6497cf81a3bbbf28c4d392bfd73eec827a28f68"
    ),
}


def check(path: Path, digest: str) -> None:
    """ValueError if `path` is a file that ships, and `digest` is not that file's.

    `digest` is the SHA-256 of what was read, in hexadecimal.
    """
    folder = lib.ROOT / "data"
    place = path.resolve()
    if not place.is_relative_to(folder):
        return
    wanted = SHA256.get(place.relative_to(folder).as_posix(), digest)
    if digest != wanted:
        raise ValueError(
            f"{path} is not the file that ships with this course: its SHA-256 is"
            f" {digest[:12]}..., the shipped one has {wanted[:12]}... If you made it"
            " anew, give it another name, or write its sum into lib/basics/shipped.py"
        )
