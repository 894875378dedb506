"""Raw release → store → batches; only `batches` and `transforms` import torch."""
