"""The recipes ``finetune`` and ``cnn``. The only place of the package that imports torch, timm and lightning."""
