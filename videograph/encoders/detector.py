"""Object detectors: boxes with names, from an ONNX file or a model of the Hugging Face Hub.

"detector:WHAT" takes for WHAT
    a preset, such as d-fine or owlv2, see `PRESETS`
    the path of a YOLOX-style .onnx file
    a hub id, or a folder: any detector of transformers that knows its kinds (D-FINE, RT-DETR, DETR, ...),
    or is told what to look for (OWL-ViT, OWLv2, Grounding DINO)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videograph.encoders import ObjectDetector
from videograph.encoders._boxes import N_OBJECTS, names_to_look_for
from videograph.encoders._hub import Preset, fetch, needs

PRESETS = {
    "d-fine": Preset("ustc-community/dfine-small-coco", "f79e65b5fbb33ceb9d3ebba042955d7410c608f8"),
    "rt-detr": Preset("PekingU/rtdetr_v2_r18vd", "5650961749fa93567c0d46fc7f43ea4f9e914107"),
    "owlv2": Preset(
        "google/owlv2-base-patch16-ensemble", "cfd3195ba4ea9592eec887ded089f4c08eff231d"
    ),
    "grounding-dino": Preset(
        "IDEA-Research/grounding-dino-tiny", "a2bb814dd30d776dcf7e30523b00659f4f141c71"
    ),
}
"""The first two know the 80 kinds of COCO, the others are told what to look for."""
TOLD = ("owlv2", "grounding-dino")
"""Presets that are told what to look for: refused before a download if they are not."""


def load_objects(
    what: str = "d-fine",
    *,
    names: Sequence[str] = (),
    threshold: float | None = None,
    n_objects: int = N_OBJECTS,
    device: str = "auto",
) -> ObjectDetector:
    """An object detector.

    Args:
        what: see the module.
        names: what to look for, in words: the nouns of a query, of captions. Read by detectors that are
            told; the others find the kinds they know, whatever is asked.
        threshold: least confidence; None is the detector's usual one.
        n_objects: object slots per frame.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        UsageError: no such model, file or device; a threshold or number out of range; no names for a
            detector that needs them.
        VideographError: the model cannot be had or read, or is no detector.
    """
    if what.endswith(".onnx"):
        from videograph.encoders._yolox import load_yolox

        return load_yolox(Path(what), threshold=threshold, n_objects=n_objects, device=device)
    needs("transformers")
    if what in TOLD:
        names_to_look_for(names, what)
    folder = fetch(what, PRESETS, instead="a YOLOX detector as an .onnx file")
    from videograph.encoders._detr import load_detector

    return load_detector(
        folder, names=names, threshold=threshold, n_objects=n_objects, device=device
    )
