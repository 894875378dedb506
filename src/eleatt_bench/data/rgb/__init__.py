"""Everything that is video: clips, decoding, backbones, and the features that become a store."""
