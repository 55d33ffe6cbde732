#!/usr/bin/env python3
"""The same recordings and the same language model in PocketSphinx: python3 oracle.py CLIPS [stream]

CLIPS is a list that tests/accuracy keeps in its folder; `wer --arpa PHRASES CLIPS` has written
CLIPS.arpa beside it. With `stream` it hears each recording in pieces of 20 ms, as a caller's sound
comes; without, it knows the whole recording, and its mean, before it begins. Needs PyPI's pocketsphinx 5.1 and the model of EARS_MODEL_DIR.
"""
import os
import sys
import wave

from pocketsphinx import Decoder

MODEL = os.environ.get("EARS_MODEL_DIR", "/usr/share/pocketsphinx/model/en-us")


def distance(wanted, found):
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted):
        before, row[0] = row[0], i + 1
        for j, other in enumerate(found):
            before, row[j + 1] = row[j + 1], min(before + (word != other), row[j + 1] + 1, row[j] + 1)
    return row[-1]


def main(clips, way="whole"):
    decoder = Decoder(hmm=f"{MODEL}/en-us", dict=f"{MODEL}/cmudict-en-us.dict", lm=f"{clips}.arpa", loglevel="FATAL")
    errors = words = 0
    for line in open(clips):
        path, text = line.rstrip("\n").split("\t")
        pcm = open(path, "rb").read() if path.endswith(".raw") else wave.open(path).readframes(-1)
        decoder.start_utt()
        step = 640 if way == "stream" else len(pcm)
        for start in range(0, len(pcm), step):
            decoder.process_raw(pcm[start : start + step], no_search=False, full_utt=way == "whole")
        decoder.end_utt()
        hypothesis = decoder.hyp()
        found = hypothesis.hypstr if hypothesis else ""
        wrong = distance(text.split(), found.split())
        errors, words = errors + wrong, words + len(text.split())
        if wrong:
            print(wrong, text, "|", found)
    print(f"PocketSphinx, {way}: WER {100 * errors / words:.1f} % ({errors} of {words} words)")


if __name__ == "__main__":
    main(*sys.argv[1:])
