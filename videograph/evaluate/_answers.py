"""What a trained model answers to the queries of videos that it did not learn from."""

from __future__ import annotations

import numpy as np

from videograph.datasets import Dataset
from videograph.errors import UsageError


def answers(dataset: Dataset, model: str) -> tuple[dict[str, np.ndarray], str]:
    """Scores of each shot by "VIDEO/QUERY", and the videos that one checkpoint learned from.

    Args:
        dataset: videos with queries.
        model: a checkpoint, which answers for the videos it did not learn from; or with "{split}" in it
            one for each video in turn, which answers for that video.

    Raises:
        UsageError: no trained model, one that reads other features, or one that learned from all videos
            it should answer for.
    """
    import torch

    from videograph.model import VideoGraph
    from videograph.queries import query_inputs

    if model == "training-free":
        raise UsageError(
            "the training-free form reads frames, which this set has none of. Allowed: a checkpoint, "
            'as in --model "runs/qfvs-{split}/model". The row "true tags" uses the tags untrained.'
        )
    scores, seen = {}, []
    for i, (key, video) in enumerate(dataset.query_videos.items()):
        loaded = VideoGraph.from_pretrained(model.replace("{split}", str(i))).eval()
        loaded.origin.admit(dataset.features)
        if key in loaded.origin.videos:
            seen.append(key)
            continue
        with torch.inference_mode():
            for query, inputs in query_inputs(dataset, video):
                scores[f"{key}/{query.name}"] = loaded(inputs).scores[0].numpy()
    if seen and ("{split}" in model or not scores):
        raise UsageError(
            f"{model} learned from {', '.join(seen)}, for which it should answer. Allowed: models of "
            'splits = "leave_one_out", fold 0 for the first video and so on.'
        )
    return scores, " ".join(seen)
