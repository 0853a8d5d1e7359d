"""Draws the picture and the clip that ship with the examples: python tools/goldens/example_media.py OUT (needs Pillow, av, numpy)."""
import pathlib
import sys

import av
import numpy as np
from PIL import Image, ImageDraw

out = pathlib.Path(sys.argv[1])
picture = Image.new("RGB", (336, 252), (245, 240, 225))
draw = ImageDraw.Draw(picture)
draw.ellipse((30, 40, 130, 140), fill=(205, 40, 45))
draw.rectangle((180, 60, 290, 150), fill=(40, 90, 190))
draw.polygon([(120, 230), (170, 150), (220, 230)], fill=(50, 150, 70))
picture.save(out / "shapes.png", optimize=True)

with av.open(str(out / "moving.mp4"), "w") as container:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 224, 168, "yuv420p"
    stream.options = {"crf": "24"}
    for i in range(40):      # a ball crosses the scene; a square appears after two seconds
        frame = Image.new("RGB", (224, 168), (240, 240, 235))
        draw = ImageDraw.Draw(frame)
        draw.ellipse((4 * i + 10, 60, 4 * i + 50, 100), fill=(205, 40, 45))
        if i >= 20:
            draw.rectangle((150, 10, 200, 50), fill=(40, 90, 190))
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")):
            container.mux(packet)
    for packet in stream.encode():
        container.mux(packet)
