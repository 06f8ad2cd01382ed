"""What the HAA500 paper (arXiv 2009.05224) prints, oddities included: its Tables 3 and 5 to 12, and remarks on them.

tests/facts/paper_tables.csv is a second, independent transcription to compare with.
"""

INSTRUMENTS, SPORTS = "musical_instruments", "sports_athletics"
# Row of Tables 7, 10 and 12 -> the area whose test clips it covers; "" for all of them.
AREAS = {
    "HAA500": "",
    "Overall": "",
    "Sport": SPORTS,
    "Instrument": INSTRUMENTS,
    "Hobbies": "games_hobbies",
    "Daily": "daily_actions",
}

# Table -> its columns, as printed; headings of two lines are joined.
COLUMNS = {
    "table6": (
        *("500 atomic top-1", "500 atomic top-3"),
        *("Inst.", "Inst. with atomic", "Sport", "Sport with atomic"),
    ),
    "table7": ("RGB", "Pose", "RGB + Pose"),
    "table8": ("UCF101", "ActNet 100", "HMDB51"),
    "table9": ("Original Composite", "Original Both", "Normalized Composite", "Normalized Both"),
    "table10": ("RGB", "+ Object"),
    "table11": ("HAA500", "UCF101", "AVA", "Gym288"),
    "table12": ("HAA500", "Relaxed"),
}
# Table -> row -> its figures in percent, as printed, one per column; None for a dash.
FIGURES = {
    "table6": {
        "I3D RGB": (33.53, 53.00, 70.59, 71.90, 47.48, 53.93),
        "I3D Flow": (34.73, 52.40, 73.20, 77.79, 51.42, 54.40),
        "I3D Pose": (35.73, 54.07, 69.28, 71.90, 54.87, 55.03),
        "I3D Three-Stream": (49.87, 66.60, 81.70, 82.35, 68.55, 69.81),
        "SlowFast RGB": (25.07, 44.07, 40.52, 50.98, 42.92, 44.18),
        "SlowFast Flow": (22.87, 36.93, 71.90, 71.90, 44.81, 45.91),
        "SlowFast Pose": (28.33, 45.20, 64.71, 66.01, 42.45, 50.00),
        "SlowFast Three-Stream": (39.93, 56.00, 67.97, 73.86, 59.91, 62.89),
        "TSN RGB": (55.33, 75.00, 86.93, 84.31, 72.64, 72.48),
        "TSN Flow": (49.13, 66.60, 79.08, 86.27, 69.97, 68.24),
        "TSN Two-Stream": (64.40, 80.13, 89.54, 90.20, 81.13, 78.93),
        "TPN RGB": (50.53, 68.13, 73.20, 75.82, 61.64, 64.15),
        "ST-GCN Pose": (29.67, 47.13, 67.32, 67.97, 40.25, 43.87),
    },
    "table7": {
        "HAA500": (33.53, 35.73, 42.80),
        "Sport": (38.52, 47.33, 50.94),
        "Instrument": (30.72, 24.18, 32.03),
        "Hobbies": (31.30, 26.42, 35.37),
        "Daily": (28.82, 28.60, 39.14),
        "Gym288": (76.11, 65.16, 77.31),
    },
    "table8": {
        "None": (58.87, 43.54, 28.56),
        "AVA": (48.54, 30.51, 25.28),
        "Gym288": (69.94, 43.79, 36.24),
        "UCF101": (None, 42.94, 32.37),
        "ActNet 100": (57.52, None, 28.63),
        "HMDB51": (53.36, 39.33, None),
        "HAA500": (68.70, 47.75, 40.45),
        "Relaxed": (62.24, 38.30, 33.29),
    },
    "table9": {
        "I3D-RGB": (66.01, 56.86, 75.82, 77.12),
        "I3D-Flow": (73.20, 77.78, 75.16, 74.51),
        "2-Stream": (77.78, 80.39, 83.01, 80.39),
    },
    "table10": {
        "HAA500": (33.53, 33.73),
        "Sport": (38.52, 38.68),
        "Instrument": (30.72, 30.07),
        "HAA-COCO": (34.26, 34.26),
        "UCF101": (57.65, 60.19),
    },
    "table11": {
        "1": (19.93, 45.57, 33.57, 39.77),
        "2": (23.27, 47.26, 39.42, 44.68),
        "4": (24.40, 49.30, 39.48, 51.22),
        "8": (24.07, 49.80, 42.38, 59.64),
        "16": (28.20, 52.31, 43.11, 69.25),
        "32": (33.53, 57.65, 29.88, 76.11),
        "stride 2": (27.47, 57.23, 41.49, 68.68),
        "stride 4": (23.87, 52.29, 40.52, 60.76),
        "stride 8": (18.47, 47.95, 38.45, 39.31),
    },
    "table12": {
        "Overall": (33.53, 22.80),
        "Sport": (38.52, 25.47),
        "Instrument": (30.72, 28.10),
        "Hobbies": (31.30, 20.33),
        "Daily": (28.82, 18.71),
    },
}
# Table 3 (statistics of HAA500) and Table 5 (detectable joints in several datasets), as printed.
TABLE_3 = {
    "actions": "500",
    "clips": "10,000",
    "mean length": "2.12 s",
    "duration": "21,207 s",
    "frames": "591K",
    "1 person": "8,309",
    "2 people": "859",
    ">2 people": "832",
    "moving camera": "2,373",
    "still camera": "7,627",
}
TABLE_5 = {"Kinetics 400": "41.0 %", "UCF101": "37.8 %", "HMDB51": "41.8 %", "FineGym": "44.7 %", "HAA500": "69.7 %"}

_COCO = (
    "on the test clips of 147 classes that the paper does not list; 34.26 % is not k/441 for any k (111/324 would be)"
)
# (table, row, column) -> what a reader of the paper's figure must know.
REMARKS = {
    ("table6", "I3D RGB", "Inst."): "Table 9 prints 66.01 for what seems to be the same run",
    ("table6", "I3D RGB", "Inst. with atomic"): "Table 9 prints 56.86 for what seems to be the same run",
    ("table6", "I3D Flow", "Inst. with atomic"): "a misprint: 119 of 153 clips are 77.78 %, as in Table 9",
    ("table8", "None", "UCF101"): "Tables 10 and 11 print 57.65 for what seems to be the same run",
    ("table9", "I3D-RGB", "Original Composite"): "Table 6 prints 70.59 for what seems to be the same run",
    ("table9", "I3D-RGB", "Original Both"): "Table 6 prints 71.90 for what seems to be the same run",
    ("table9", "I3D-Flow", "Original Both"): "Table 6 prints 77.79 for the same run",
    ("table10", "UCF101", "RGB"): "Table 8 prints 58.87 for what seems to be the same run",
    ("table11", "32", "UCF101"): "Table 8 prints 58.87 for what seems to be the same run",
    **{("table10", "HAA-COCO", column): _COCO for column in COLUMNS["table10"]},
    **{
        ("table11", row, "AVA"): f"mIOU{' of 16 frames' if 'stride' in row else ''}, not top-1"
        for row in FIGURES["table11"]
    },
}
