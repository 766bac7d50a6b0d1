"""Invented titles of the planted world."""

from __future__ import annotations

import numpy as np

FILMS = {
    "Sci-Fi": (
        "Silent Distant Hollow Glass Borrowed Ninth Paper Midnight Cobalt Forgotten",
        "Orbit Signal Colony Meridian Engine Horizon Satellite Gravity Station Eclipse",
    ),
    "Drama": (
        "Quiet Northern Broken Second Long Inherited Ordinary Winter Unsent Salt",
        "Harbour Letters Orchard House Silence Bridge Daughters Season Promise Kitchen",
    ),
    "Comedy": (
        "Accidental Reluctant Terrible Part-Time Unlikely Overbooked Perfect Awkward Borrowed Last-Minute",
        "Wedding Landlord Roommates Reunion Butler Vacation Mayor Orchestra Neighbours Genius",
    ),
    "Thriller": (
        "Cold Blind Seventh Vanishing Hidden Double Locked Black Final Narrow",
        "Witness Alibi Corridor Ransom Verdict Passenger Cipher Motive Exit Informant",
    ),
    "Romance": (
        "Lisbon Sunday Autumn Almost Distant Parisian Rainy Summer Evening Seaside",
        "Waltz Postcards Strangers Café Promises Train Serenade Affair Garden Hearts",
    ),
    "Adventure": (
        "Lost Golden Emerald Sunken Crimson Wandering Fabled Stormbound Ivory Uncharted",
        "Compass Caravan Lagoon Summit Idol Expedition Passage Archipelago Map Canyon",
    ),
    "Animation": (
        "Tiny Clockwork Brave Moonlit Whispering Runaway Paper Giant Sleepy Marvellous",
        "Fox Lantern Puppets Robot Whale Teapot Dragon Balloon Hedgehog Lighthouse",
    ),
    "Documentary": (
        "Inside Beneath Beyond Chasing Saving Remembering Mapping Building Feeding Watching",
        "Reef Glacier City Desert Orchestra Harvest Archive Rivers Stadium Bees",
    ),
    "Mystery": (
        "Crooked Hollow Vanished Ashen Curious Missing Velvet Foggy Thirteenth Secret",
        "Manor Portrait Clockmaker Key Chapel Gardener Necklace Inn Telegram Staircase",
    ),
    "Fantasy": (
        "Silver Hidden Ancient Enchanted Thornwood Starlit Forsaken Amber Winged Everlasting",
        "Crown Kingdom Oracle Rune Grove Sorceress Throne Griffin Prophecy Gate",
    ),
}
"""Genre: first and second words; a title is one of each."""

SUBTITLES = "Homecoming Afterlight Reckoning Undertow Daybreak Aftermath Rebirth Crossfire Legacy Farewell".split()
"""What follows the numeral of a later part."""

BRANDS = "Halcyon Nimbus Kestrel Orbita Tandem Lumora Vexel Borealis Pixelyte Quanta".split()
"""Makers of consoles, each of one console."""

CONSOLE, CONTROLLER, CABLE = "{} Console", "{} Wireless Controller", "{} HDMI Cable"

GADGETS = {
    "Audio": "Noise-Cancelling Headphones|Portable Speaker|Wireless Earbuds|Turntable|Soundbar|Studio Microphone",
    "Camera": "Mirrorless Camera|Action Camera|Instant Camera|Travel Tripod|Drone|Pocket Gimbal",
    "Reading": "E-Reader|Reading Lamp|Drawing Tablet|Pocket Translator|Digital Notebook",
    "Home": "Pocket Projector|Smart Lamp|Espresso Machine|Robot Vacuum|Weather Station|Air Purifier",
    "Wearable": "Fitness Band|Smartwatch|Sleep Ring|Running Pod|Bike Computer",
}
MAKERS = "Brightwell Fennimore Arden Solveig Marlow Tessel Ostara Wrenfield".split()
"""Makers of gadgets that nothing else depends on."""


def film_titles(stream: np.random.Generator, genre: str, count: int) -> list[str]:
    """Distinct film titles of one genre, at most 100."""
    first, second = (words.split() for words in FILMS[genre])
    picks = stream.permutation(len(first) * len(second))[:count]
    return [_film(genre, first[p // len(second)], second[p % len(second)]) for p in picks]


def _film(genre: str, first: str, second: str) -> str:
    if genre == "Documentary":
        return f"{first} the {second}"
    bare = genre == "Romance" or second.endswith("s") or (len(first) + len(second)) % 3 == 0
    return f"{first} {second}" if bare else f"The {first} {second}"


def gadget_titles(stream: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Distinct (title, genre) of gadgets that stand alone."""
    every = [
        (f"{maker} {thing}", genre)
        for genre, things in GADGETS.items()
        for thing in things.split("|")
        for maker in MAKERS
    ]
    return [every[p] for p in stream.permutation(len(every))[:count]]
