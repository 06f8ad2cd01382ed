"""HAA-COCO, the rows of Table 10 with objects: which classes they are. Inferred; the paper does not list them.

The paper has "147 classes of HAA500 expected to have objects that were detected", of the 42 COCO classes in 5 groups
that its heatmaps show. The rule here: a class belongs to HAA-COCO if its name says that the person uses, wears, rides
or touches a thing that a detector trained on COCO is expected to call one of the 42: the thing itself, or one of the
same form and use (a squash racket is a "tennis racket", a calf a "cow"). What only may be in the picture does not
count. This gives 105 classes, not 147, so the paper's rule is a wider one; it is not known.

A file haa_coco.txt in the folder of the runs, one name per line, replaces this list.
"""

FILE = "haa_coco.txt"

# Group of `tfds_haa500/streams/objects.py` -> COCO's names, in the order of their ids.
GROUPS = {
    "sports equipment": (
        *("frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove"),
        *("skateboard", "surfboard", "tennis racket"),
    ),
    "food": (*("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"),),
    "animals": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    "vehicles": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "cutlery": ("fork", "knife", "spoon", "bowl"),
}

# COCO's name -> the classes expected to have one; each class once, with the object that its name points to first.
CLASSES = {
    "frisbee": ("frisbee_catch", "frisbee_throw"),
    "skis": (
        *("cross_country_ski_slide", "cross_country_ski_walk", "grass_skiing", "ski_backflip", "ski_cork"),
        *("ski_frontflip", "ski_jump_land", "ski_jump_midair", "ski_jump_slide", "water_skiing"),
    ),
    "snowboard": ("sandboarding_forward", "snowboard_jump", "snowboard_slide"),
    "sports ball": (
        *("basketball_dribble", "basketball_dunk", "basketball_hookshot", "basketball_jabstep", "basketball_layup"),
        *("basketball_pass", "basketball_shoot", "beer_pong_throw", "billiard_hit", "bowling", "bowls_throw"),
        *("football_catch", "football_run", "football_throw", "golf_part", "golf_swing", "juggling_balls"),
        *("petanque_throw", "shotput_throw", "soccer_dribble", "soccer_header", "soccer_save", "soccer_shoot"),
        *("soccer_throw", "softball_pitch", "spinning_basketball", "volleyball_overhand", "volleyball_pass"),
        *("volleyball_set", "volleyball_underhand"),
    ),
    "kite": ("flying_kite",),
    "baseball bat": ("baseball_bunt", "baseball_swing"),
    "baseball glove": (
        *("baseball_catch_catcher", "baseball_catch_flyball", "baseball_catch_groundball", "baseball_pitch"),
    ),
    "skateboard": ("skateboard_forward", "skateboard_grind", "skateboard_jump"),
    "surfboard": ("surfing", "windsurfing"),
    "tennis racket": (
        *("badminton_overswing", "badminton_serve", "badminton_underswing", "squash_backhand", "squash_forehand"),
        *("tennis_backhand", "tennis_forehand", "tennis_serve"),
    ),
    "banana": ("peeling_banana",),
    "apple": ("eat_apple",),
    "sandwich": ("eat_burger",),
    "hot dog": ("eating_hotdogs",),
    "pizza": ("pizza_dough_toss",),
    "dog": ("dog_highfive", "dog_walking", "handshake_dog", "hugging_animal"),  # which animal is hugged is not said
    "horse": ("equestrian_dressage", "equestrian_jump", "equestrian_run", "ride_horse"),
    "cow": ("calfrope_catch", "calfrope_rope", "calfrope_subdue", "milking"),
    "elephant": ("riding_elephant",),
    "bicycle": ("bike_fall", "bmx_jumping", "bmx_riding", "ride_bike", "unicycle_ride"),
    "car": (
        *("add_new_car_tire", "clear_snow_off_car", "gas_pumping_to_car", "hailing_taxi", "jack_up_car"),
        *("push_car", "remove_car_tire", "screw_car_tire"),
    ),
    "motorcycle": ("ride_motorcycle",),
    "boat": ("canoeing_slalom", "canoeing_sprint", "jetski", "kayaking", "rowing_boat"),
    "fork": ("eat_spagetti",),
    "knife": ("chopping_meat", "cutting_onion"),
}
NAMES = tuple(sorted(name for names in CLASSES.values() for name in names))
