"""Raw release → store → batches; only `module` and `transforms` import torch."""
