"""`python -m tfds_haa500.demo`: see archive.py."""

from absl import app

from tfds_haa500.demo import archive

if __name__ == "__main__":
    archive.define_flags()  # not on import: `import tfds_haa500` must not define flags in other programs
    app.run(archive.main)
