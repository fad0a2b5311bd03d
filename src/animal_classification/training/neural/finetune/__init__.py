"""The recipe ``finetune``, in parts."""
