"""videograph: a video that is too long becomes a summary to watch, read and edit.

import videograph
summary = videograph.summarize("match.mp4")
videograph.export(summary, "skim.mp4")
"""

__version__ = "0.1.0"
