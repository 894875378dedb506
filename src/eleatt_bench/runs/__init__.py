"""What a run is called (`identity`) and what it leaves (`record`, `predictions`, `curves`)."""
