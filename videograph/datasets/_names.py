"""Which video is `video_7`: the official numbering of TVSum and SumMe, with the frame counts that prove it.

TVSum's numbers are the rows of `ydata-tvsum50-info.tsv`; SumMe's the alphabetical order of its files,
capitals first. The h5 of OVP and YouTube carry numbers only, and no published list maps them.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
TVSUM = {
    "AwmHb44_ouw": 10597, "98MoyGZKHXc": 4688, "J0nA4VgnoCo": 14019, "gzDbaEs1Rlg": 7210,
    "XzYM3PfTM4w": 3327, "HT5vyqe0Xaw": 9671, "sTEELN-vY30": 4468, "vdmoEJ5YbrQ": 9870,
    "xwqBXPGE9pQ": 7010, "akI8YFjEmUw": 3995, "i3wAGJaaktw": 4700, "Bhxk-O1Y7Ho": 13511,
    "0tmA_C6XwfM": 3532, "3eYKfiOEJNs": 4853, "xxdtq8mxegs": 4324, "WG0MBPpPC6I": 9535,
    "Hl-__g2gn_A": 5846, "Yi4Ij2NM7U4": 9731, "37rzWOQsNIw": 5742, "LRw_obCPUt0": 6241,
    "cjibtmSLxQ4": 19406, "b626MiF1ew4": 5661, "XkqCExn6_Us": 5631, "GsAD1KT1xo8": 4356,
    "PJrm840pAUI": 6580, "91IHQYk1IQM": 3312, "RBCABdttQmI": 10917, "z_6gVvQb2d0": 8281,
    "fWutDQy1nnY": 17527, "4wU_LUjG5Ic": 4005, "VuWGsYPqAX8": 5412, "JKpqYvAdIsw": 3802,
    "xmEERLqJ2kU": 13365, "byxOvuiIJV0": 3705, "_xMr-HKMfVA": 4463, "WxtbjNsCQ8A": 7959,
    "uGu_10sucQo": 4009, "EE-bNr36nyA": 2941, "Se3oxnaPsz0": 4166, "oDXZc0tZe04": 11414,
    "qqR6AEXwxoQ": 8073, "EYqVtI9YWJA": 5939, "eQu1rNs0an0": 4931, "JgHubY5Vw3Y": 4304,
    "iVt07TCkFM0": 2500, "E11zDS9XGzg": 15307, "NyBmCxDoHJU": 4740, "kLxoNp-UchI": 3896,
    "jcoYJXDG9sw": 5971, "-esJrBWj2d8": 6912,
}
"""Frames by YouTube id; video_1 is the first. Some files lack the last frame of video_16 and video_39."""

SUMME = {
    "Air_Force_One": 4494, "Base jumping": 4729, "Bearpark_climbing": 3341, "Bike Polo": 3064,
    "Bus_in_Rock_Tunnel": 5131, "Car_railcrossing": 5075, "Cockpit_Landing": 9046, "Cooking": 1286,
    "Eiffel Tower": 4971, "Excavators river crossing": 9721, "Fire Domino": 1612, "Jumps": 950,
    "Kids_playing_in_leaves": 3187, "Notre_Dame": 4608, "Paintball": 6096,
    "Playing_on_water_slide": 3065, "Saving dolphines": 6683, "Scuba": 2221,
    "St Maarten Landing": 1751, "Statue of Liberty": 3863, "Uncut_Evening_Flight": 9672,
    "Valparaiso_Downhill": 5178, "car_over_camera": 4382, "paluma_jump": 2574, "playing_ball": 3120,
}
"""Frames by file name; video_1 is the first."""
# fmt: on

MAPS: Mapping[str, Mapping[str, int]] = {"tvsum": TVSUM, "summe": SUMME}
_TOLERANCE = 1
"""Frames by which containers and annotations of the same video are known to differ."""


def numbered(dataset: str) -> dict[str, tuple[str, int]]:
    """Key -> name and frames, for a data set whose numbering is known; empty for others."""
    names = MAPS.get(dataset, {})
    return {f"video_{i}": pair for i, pair in enumerate(names.items(), start=1)}


def recognise(n_frames: Mapping[str, int]) -> str:
    """Which data set keys and frame counts belong to, "own" if none: most counts must be its own."""
    for dataset in MAPS:
        known = numbered(dataset)
        hits = sum(_same(known, key, n) for key, n in n_frames.items())
        if hits > len(n_frames) / 2:
            return dataset
    return "own"


def name_of(dataset: str, key: str, n_frames: int, stored: str = "") -> tuple[str, str]:
    """The name of a video, and a sentence if the frame count speaks against its number ("" if not).

    Args:
        dataset: "tvsum", "summe" or any other, of which nothing is known.
        key: "video_7".
        n_frames: the count in the file.
        stored: the name in the file, which is believed before the number.
    """
    known = numbered(dataset)
    if not known or not n_frames:
        return stored, ""
    by_name = {name: n for name, n in known.values()}
    if stored in by_name:
        if abs(by_name[stored] - n_frames) <= _TOLERANCE:
            return stored, ""
        return stored, f"{key} is named {stored}, of {by_name[stored]} frames, but has {n_frames}"
    if _same(known, key, n_frames):
        return known[key][0], ""
    same = [name for name, n in by_name.items() if n == n_frames]
    if len(same) == 1:
        return same[0], f"{key} is {same[0]} by its {n_frames} frames, not by its number"
    return stored, f"{key} has {n_frames} frames: no video of {dataset} of that number is that long"


def _same(known: Mapping[str, tuple[str, int]], key: str, n_frames: int) -> bool:
    return key in known and abs(known[key][1] - n_frames) <= _TOLERANCE
