"""Synthetic voices that packages ship: text in, sound out, each time in another voice.

`Hibari` is one voice of a small network, bent: what the network foretells of its pitch and the resonances of its mouth
is moved before it becomes sound. `Flite` has four voices of older makes, made smaller or larger.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from showtell.errors import InputError
from showtell.pipelines.media.waveform import SAMPLE_RATE

# Of a voice: its pitch and the length of its throat, both against hibari's own, a woman's.
PITCHES, THROATS = (0.55, 1.45), (0.86, 1.2)
# How much its pitch moves, and how fast it speaks.
MELODIES, PACES = (0.6, 1.3), (0.8, 1.3)
# Below this many hertz a frame has no voice.
VOICELESS = 40.0
# Two men of the United States, a woman, and a man of Scotland.
FLITE_VOICES = "kal16", "rms", "slt", "awb"
# How much higher pitch and resonances of such a voice are made, by playing it faster.
FLITE_RATES = 0.88, 1.25


@dataclass(frozen=True)
class Voice:
    """How hibari's voice is bent; 1 is as it is.

    pitch: of the fundamental frequency. throat: of the resonances' frequencies, higher is a shorter throat.
    melody: of the pitch's movement, as a power. pace: of the speed.
    """

    pitch: float
    throat: float
    melody: float
    pace: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Voice:
        """Any voice: a low one has the longer throat, more or less, as people's have."""
        height = rng.uniform()
        pitch, throat = (
            low * (high / low) ** np.clip(height + rng.normal(0, 0.15), 0, 1) for low, high in (PITCHES, THROATS)
        )
        return cls(float(pitch), float(throat), rng.uniform(*MELODIES), rng.uniform(*PACES))

    def bend_pitch(self, hertz: np.ndarray) -> np.ndarray:
        """The fundamental frequency of each frame, `(frames,)`, 0 where there is none."""
        voiced = hertz > VOICELESS
        if not voiced.any():
            return hertz
        mean = np.exp(np.log(hertz[voiced]).mean())
        bent = self.pitch * mean * (np.maximum(hertz, VOICELESS) / mean) ** self.melody
        return np.where(voiced, np.maximum(bent, VOICELESS + 1), hertz).astype(np.float32)

    def bend_spectrum(self, spectrum: np.ndarray) -> np.ndarray:
        """Move the features `(frequencies, frames)` of a spectrum up or down: what lay at f lies at throat * f."""
        top = len(spectrum) - 1
        places = np.minimum(np.arange(len(spectrum)) / self.throat, top)
        below = np.minimum(places.astype(int), top - 1)
        share = (places - below)[:, None].astype(np.float32)
        return spectrum[below] * (1 - share) + spectrum[below + 1] * share


class Hibari:
    """Says texts by hibari's network, in any `Voice`."""

    def __init__(self, rng: np.random.Generator):
        import hibari

        self.rng, self.hibari = rng, hibari.Hibari(threads=1)

    def speak(self, text: str) -> np.ndarray:
        """Samples at `SAMPLE_RATE`, `(samples,)`, in a voice drawn anew."""
        return self.say(text, Voice.draw(self.rng))

    def say(self, text: str, voice: Voice) -> np.ndarray:
        """Samples at `SAMPLE_RATE`, `(samples,)`; none for a text without words."""
        from hibari import dsp

        parts = [np.zeros(0, np.float32)]
        for phonemes in self.hibari.phonemize(text):
            inputs = {
                "ids": np.array([self.hibari.ids(phonemes)], np.int64),
                "speed": np.array([voice.pace], np.float32),
            }
            # The magnitude and phase of what is voiced, the magnitude of the noise, and again those of the rest.
            *spectra, hertz = (np.asarray(output)[0] for output in self.hibari.sess.run(None, inputs))
            voiced, phase, noise, rest, rest_phase = map(voice.bend_spectrum, spectra)
            parts.append(dsp.synth(voiced, phase, noise, rest, rest_phase, voice.bend_pitch(hertz), self.rng))
        return soxr.resample(np.concatenate(parts), dsp.SR, SAMPLE_RATE)


class Flite:
    """Says texts by the program `flite`, in one of its voices at a time.

    Raises `InputError` where there is no such program.
    """

    def __init__(self, rng: np.random.Generator):
        if shutil.which("flite") is None:
            raise InputError("flite: there is no such program here; `apt install flite` would do.")
        self.rng = rng

    def speak(self, text: str) -> np.ndarray:
        """Samples at `SAMPLE_RATE`, `(samples,)`."""
        rate = self.rng.uniform(*FLITE_RATES)
        # Played faster it would be said faster too: that is for the pace alone to decide.
        stretch = rate / self.rng.uniform(*PACES)
        voice = str(self.rng.choice(FLITE_VOICES))
        how = ["-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-o", "/dev/stdout"]
        sound = subprocess.run(["flite", *how, "-t", text], stdout=subprocess.PIPE, check=True).stdout
        samples, sampling_rate = soundfile.read(io.BytesIO(sound), dtype="float32")
        return soxr.resample(samples, sampling_rate * rate, SAMPLE_RATE)
