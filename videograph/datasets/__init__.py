"""The workshop of datasets."""
