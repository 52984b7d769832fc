"""Text and models: readers, detection and masking of personal data, citations, and encoders."""
