"""Knowledge of words: short forms, products, symptoms, error messages, English, translations."""
