"""Texts to take times on: reviews and reports that were made up for it, each a paragraph of usual words and names."""

from __future__ import annotations

STORIES = (
    """The Harbour Clerk is a slow film, and for its first half hour I was ready to give up on it. Nothing happens: a
    man stamps papers, eats his soup, and walks home along a canal. Then his brother arrives from Rotterdam with a
    suitcase that he won't open, and everything the director Ilse Maartens has been quietly setting up begins to pay
    off. The performances are wonderful, above all Peter Okafor as the clerk, whose face hardly moves and yet tells you
    when he has decided to lie. I didn't care for the music, which is laid on far too thick, but the last scene on the
    ferry is among the best things I have seen this year.""",
    """Shares in Calder & Wray fell 4.2 percent in London on Tuesday after the Leeds company said that it would close
    its plant in Porto by the end of March. Some 340 people work there. "We looked at every other way," the chief
    executive, Hannah Lindqvist, told reporters, "and none of them would have saved the site." The Portuguese government
    said it had not been warned. Analysts at Bank Veritas had expected a smaller loss: $12.4 million for the quarter,
    against the $19.8 million that was reported. The company, which was founded in 1926 and makes pumps for ships, keeps
    its forecast for the year.""",
    """What a waste of two hours and of a cast like this. Somebody at the studio must have thought that three famous
    names and a castle in Scotland would do the work of a script. They don't. The jokes are old, the ghost looks like a
    wet towel, and the twist is given away by the poster. Maria Delgado does her best with lines that nobody could
    speak, and the dog is quite good. My son, who is nine and laughs at anything, asked me twice whether it was over
    yet. It's not even bad enough to be fun. Avoid it, and watch the old version from 1954 instead, which is cheap,
    silly and alive in every frame.""",
    """Norway beat Uruguay 3-2 in Marseille on Saturday to reach the final of the Coast Cup for the first time. Erik
    Solheim scored twice before the break, the second with a header that Uruguay's goalkeeper, Mateo Suarez, could only
    push onto the post and in. Uruguay were level by the hour through Diego Ferrari and a penalty, but with five minutes
    left Jonas Dahl, who had come on for the injured Solheim, ran on to a long pass from Lars Bakke and shot low past
    Suarez. "I've waited all season for that ball," Dahl said. Norway meet Japan or Ghana in Lisbon on Wednesday.""",
    """I bought this for my mother, who has trouble with small buttons, and it has been better than we hoped. The screen
    is bright, the letters are large, and it took her one afternoon to learn it. The battery lasts about four days. Two
    things could be improved: the manual is printed in grey on grey, and the charger gets rather warm. When the first
    one arrived with a scratch I wrote to the shop in Hamburg, and a Mr. Brandt sent another within the week without
    asking any questions. For the price you won't find anything like it. She calls me every evening now, which I hadn't
    counted on, and I would buy it again tomorrow.""",
    """The third season of Low Tide opens in Reykjavik, eleven years after the trial, and it is hard to say whether
    anybody asked for it. Inspector Sigrun Halldorsdottir has left the force and teaches at the university; a student
    goes missing; you can guess the rest. It looks as handsome as ever, all slate and steam, and there are moments,
    mostly without words, when it finds again what made the first season so good. But the plot needs four coincidences
    too many, and the villain explains himself for an entire episode. Neither a triumph nor a disgrace, it passes the
    time. Fans will watch it anyway, and newcomers should start at the beginning.""",
    """Scientists from the University of Nairobi and the Hanover Institute of Hydrology have mapped the water beneath
    the Chalbi Desert for the first time. Their study, published in the Journal of Dry Lands, counts five basins at
    depths of 90 to 300 metres. The largest holds as much as Lake Baringo. Much of it is salty, warned Grace Wanjiru,
    who led the work, and it fills again so slowly that what is pumped in a year takes forty to return. The Kenyan
    ministry of water welcomed the findings and said that drilling would begin at two sites near North Horr next year.
    Herders there walk as far as thirty kilometres to the nearest well.""",
    """Don't be fooled by the title: Seven Ways to Boil an Egg is not a cookery book but a novel, and a very funny one.
    Its heroine, Dorothea Pym, runs a boarding house in Margate in the summer of 1938 and writes letters to the
    newspapers under nine different names. One of them starts to be answered. Anna Kowalczyk has a perfect ear for
    people who talk past each other, and the letters, which might have become tiresome, get better and better. Towards
    the end the tone darkens in a way that I found moving and my husband found forced. We argued about it all the way to
    Brighton, which I take for a good sign.""",
    """The council of Sligo voted by eleven to nine on Monday to move the market from Quay Street to the old barracks.
    Traders had collected 6,000 signatures against it. The mayor, Aoife Brennan, said that the street floods every
    winter and that the town could no longer insure the stalls. A smaller market will stay on Saturdays. Patrick Ngo,
    who has sold fish there since 1987, said he would believe in the parking places when he saw them. The Irish Barracks
    Trust, which owns the barracks, asks for a rent of 30,000 euros a year, and the first stalls are to move in October,
    after the Yeats festival.""",
    """We stayed at the Hotel Zefiro Blu for three nights in May. On the website the room had a view of Lake Garda; in
    truth you see the lake if you stand on the bath. The bed was hard, the shower ran cold at seven each morning, and
    there was a pump or a lift behind the wall that never stopped. When I complained, the manager shrugged and offered
    us a voucher for a drink. To be fair, breakfast was excellent, the woman at the desk, Chiara, could not have been
    kinder, and the ferry to Malcesine leaves from the door. But at that price it's simply not good enough, and we will
    not be coming back.""",
)


def stories(paragraphs: int) -> list[str]:
    """Texts of so many paragraphs that follow each other, beginning with each of them in turn."""
    lines = [" ".join(story.split()) for story in STORIES]
    return ["\n\n".join((lines + lines)[first : first + paragraphs]) for first in range(len(lines))]
