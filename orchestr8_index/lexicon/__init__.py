"""What words stand for: short forms, products, symptoms, shapes of errors, and what is English."""
