"""For people: the command line (`annotator.cli`) and the HTTP client (`annotator.client`), thin over the rest."""
