"""One run: config → fit → test → record. Lightning lives here and only here."""
