"""What one abandoned call may cost: the highest risk at which a campaign still places a call.

1. The balance B: so many calls more could be abandoned now without the promise being broken: target · answered − abandoned, less what
   the bound cannot rule out yet (:meth:`~.ledger.Ledger.held_back`). At the beginning it has the credit of one call, paid back over
   the first 2 / target answers.
2. What was saved long ago is not spent at once: a purse that holds only so much follows B, and the lower of the two counts. So a
   window of 30 days that slides past its best days is not broken by those that were paced on them.
3. The risk at which the next call is still placed: θ = target · exp(base + (B − B*) / K). B* is a stock that chance is not to use up; K
   is how softly the balance is steered, and grows with the flow of answers. The last call and a half is spared more.
4. The base is learnt slowly, so that B settles at B*.
5. A hard cap wants more in stock: as many calls as are usually placed ahead could all be abandoned. While that is saved up, θ is
   lowered by no more than a part.
"""

from __future__ import annotations

import math

STOCK = (3.4, 1.1, 0.15, 2.5)
"""B*, and by how much it grows until there are so many answers a second, and until there is one: calls are abandoned in clusters."""
LAST = 1.5
"""With less than this left θ falls faster: by a factor of e for each call."""
BASE = 0.4
"""What is usually learnt."""
SOFTNESS = 4.0
FLOW_S = 40.0
LEARNING = 600.0
"""Answers."""
THETA = (0.001, 0.5)
DEEP = -5.0
"""A balance below this is deep debt: progressive until it is paid back."""
PURSE_S = 3600.0
FLOW_SPAN_S = 300.0
SAVING = -0.7
"""The exponent while stock is saved up for the cap."""
AHEAD_SPAN = 100.0
"""Answers, over which the calls placed ahead are averaged."""


class Budget:
    """The balance of one campaign, and the risk it allows."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.base = BASE
        self.purse: float | None = None
        self.flow = 0.0
        """Answers a second."""
        self.ahead = 0.0
        """Calls that are usually placed ahead, as far as the cap matters."""
        self.balance = 1.0
        self.answered = 0
        self.abandoned = 0
        self.is_held_back = False
        self._since: float | None = None
        self._new = 0

    def follow(self, at: float, answered: int, abandoned: int, held_back: float = 0.0) -> None:
        """The window now holds these. *held_back*: of the target's balance."""
        target = self.target
        balance = target * answered - abandoned - held_back
        self.is_held_back = held_back > 0.0
        credit = 0.0 if held_back else max(0.0, 1.0 - 0.5 * target * answered)
        new, lost = answered - self.answered, abandoned - self.abandoned
        self.answered, self.abandoned = answered, abandoned
        if self.purse is None or new < 0 or lost < 0:  # the first time, or a day left the window
            self.purse = min(balance if self.purse is None else self.purse, self.stock)
            new = lost = 0
        self.purse = min(
            self.purse + target * new - lost, max(3.0 * self.stock, target * self.flow * PURSE_S)
        )
        self._measure(at, new)
        self.balance = (balance if held_back else min(balance, self.purse)) + credit
        if new:
            error = (self.balance - self.stock) / self.softness
            self.base += new * min(1.0, max(-2.0, error)) / LEARNING
            self.base = min(2.0, max(-2.0, self.base))

    def place(self, ahead: float, cap: float) -> None:
        """So many calls are ahead of idle operators, under that cap."""
        wanted = 1.3 * (1.0 - cap) * ahead if cap < 1.0 else 0.0
        self.ahead += (wanted - self.ahead) / AHEAD_SPAN

    @property
    def stock(self) -> float:
        """B*."""
        least, more, some, much = STOCK
        needed = least + more * min(1.0, self.flow / some) + much * min(1.0, self.flow)
        return (1.5 if self.is_held_back else needed) + self.ahead

    @property
    def softness(self) -> float:
        """K."""
        return SOFTNESS + self.target * self.flow * FLOW_S

    @property
    def theta(self) -> float:
        """The highest risk at which a call is placed."""
        exponent = self.base + (self.balance - self.stock) / self.softness
        if self.balance > self.stock - self.ahead:
            exponent = max(exponent, SAVING)
        exponent -= max(0.0, LAST - self.balance)
        return min(THETA[1], max(THETA[0], self.target * math.exp(min(exponent, 4.0))))

    @property
    def is_deep(self) -> bool:
        """Whether so many were abandoned that the campaign is to be dialed progressively."""
        return self.target * self.answered - self.abandoned < DEEP

    def _measure(self, at: float, new: int) -> None:
        self._new += new
        if self._since is None or at < self._since:
            self._since = at
        spent = at - self._since
        if spent >= 5.0:
            keep = math.exp(-spent / FLOW_SPAN_S)
            self.flow = self.flow * keep + (1.0 - keep) * self._new / spent
            self._new = 0
            self._since = at
