"""The joint decoder: CTC and attention over one network. CTC hears a stream, and attention helps to choose words."""

from __future__ import annotations

from torch import Tensor, nn

from showtell.decoders.attention_decoder import AttentionDecoder, Context, State
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.errors import InputError
from showtell.memory import Memory


class JointDecoder(CTCDecoder):
    """Joint CTC and attention (Kim and others 2017, Watanabe and others 2017).

    What the recurrent network of a `CTCDecoder` hears, h, an `AttentionDecoder` with location attention reads too:

        log p(text) = ctc_weight * log p_ctc(text of h) + (1 - ctc_weight) * log p_attention(text of h)

    Trained for both, the network hears letters in their order sooner than attention alone would teach it. When
    answering, CTC proposes texts while it listens, and at a pause the sum chooses (two passes, Sainath and others
    2019).

    start, end: the last two tokens of the vocabulary, which are for the attention decoder alone. ctc_weight: 0 to 1.
    Others are those of the two decoders.

    Raises `InputError` for other tokens at the ends of a text, a weight beyond 0 and 1, or what the decoders refuse.
    """

    def __init__(
        self,
        *,
        memory_width: int,
        vocabulary_size: int,
        start: int,
        end: int,
        blank: int = 0,
        hidden_size: int = 320,
        num_layers: int = 3,
        embedding_size: int = 128,
        attention_size: int = 128,
        cell: str = "lstm",
        dropout: float = 0.2,
        ctc_weight: float = 0.5,
    ):
        if (start, end) != (last_two := (vocabulary_size - 2, vocabulary_size - 1)):
            raise InputError(
                f"start={start}, end={end}: the last two tokens, {last_two[0]} and {last_two[1]}, would do."
            )
        if not 0 <= ctc_weight <= 1:
            raise InputError(f"ctc_weight={ctc_weight}: a number from 0 to 1 would do.")
        super().__init__(
            memory_width=memory_width,
            vocabulary_size=start,
            blank=blank,
            hidden_size=hidden_size,
            num_layers=num_layers,
            cell=cell,
            dropout=dropout,
        )
        del self.config["phonemes"]
        self.config |= {
            "vocabulary_size": vocabulary_size,
            "start": start,
            "end": end,
            "embedding_size": embedding_size,
            "attention_size": attention_size,
            "ctc_weight": ctc_weight,
        }
        self.speller = AttentionDecoder(
            memory_width=hidden_size,
            vocabulary_size=vocabulary_size,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            attention_size=attention_size,
            attention="location",
            cell=cell,
            dropout=dropout,
            start=start,
            end=end,
            pad=blank,
            unknown=blank,
        )

    def attend(self, memory: Memory) -> tuple[Context, State]:
        """What `speller` reads of a whole memory, and its first state."""
        return self.speller.init_state(Memory(self.hear(memory)[0], memory.mask))

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: it hears no phonemes
        self, memory: Memory, tokens: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Score given texts.

        tokens: `(batch, longest)`, without start and end; what is in the padding does not count. lengths: `(batch,)`.

        Returns the log-probability of each text by CTC, `(batch,)`, and the logits `(batch, longest + 1, vocabulary)`
        of what follows the start and each token by attention.
        """
        hidden, _ = self.hear(memory)
        given = nn.functional.pad(tokens, (1, 0), value=self.config["start"])
        logits, _ = self.speller(Memory(hidden, memory.mask), given.unsqueeze(1))
        return self.log_likelihood(self.output, hidden, memory, tokens, lengths), logits.squeeze(1)
