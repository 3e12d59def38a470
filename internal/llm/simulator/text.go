package simulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// simulated marks every text as what it is.
const simulated = "[simulated]"

// A composer makes the answer to one request. All its choices come from rng,
// which the request's hash seeds, or a planner's task.
type composer struct {
	reading
	rng       *rand.Rand
	wantsJSON bool // by response_format
}

// What a worker says. %s is what it works on.
var sentences = []string{
	"The first thing that matters for %s is who it is for.",
	"Most sources agree on the essentials of %s and differ in the details.",
	"A short list of options was compared by cost, effort and effect.",
	"Two assumptions stand out and should be checked before anything is built on them.",
	"The plainest option is also the one that is easiest to explain.",
	"Where figures are missing, a range is given and the reason for it.",
	"Seen from its audience, %s should be concrete, brief and honest.",
	"The main risk is to promise more than can be kept.",
	"An example makes the point clearer than another paragraph would.",
	"What remains open is named at the end, so that nobody has to guess.",
	"The result can be used as it is, or serve as a draft for the next hand.",
	"Compared with the obvious alternative, this one needs less and shows more.",
}

// filler is what answers of a wanted size are cut from.
var filler = strings.Repeat(strings.ReplaceAll(strings.Join(sentences, " "), "%s", "it")+" ", 64)

// fill returns n bytes of text that begin with head.
func fill(head string, n int) string {
	if len(head) >= n {
		return head[:runeStart(head, n)]
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(head)
	for b.Len() < n {
		b.WriteString(filler[:min(len(filler), n-b.Len())])
	}
	return b.String()
}

// runeStart returns the largest index ≤ n at which a rune of s starts, or its length.
func runeStart(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	for i := n; i > 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n // the start, or no UTF-8
}

func (c *composer) topic(n int) string {
	if t := clip(c.task, n); t != "" {
		return t
	}
	return "the task"
}

// work is a worker's answer.
func (c *composer) work() string {
	topic := c.topic(120)
	var b strings.Builder
	b.WriteString(simulated + c.mark() + " ")
	if c.style != "" {
		b.WriteString("As " + c.style + ", on ")
	} else {
		b.WriteString("On ")
	}
	fmt.Fprintf(&b, "“%s”:", topic)
	for _, i := range c.rng.Perm(len(sentences))[:3] {
		b.WriteByte(' ')
		b.WriteString(strings.ReplaceAll(sentences[i], "%s", "this work"))
	}
	if ids := names(c.sources("output")); ids != "" {
		b.WriteString(" It builds on " + ids + ".")
	}
	b.WriteString(c.quoteTools())
	if wanted := clip(first(c.messages, "feedback"), 200); wanted != "" {
		b.WriteString(" It is revised to meet “" + wanted + "”.")
	}
	text := b.String()
	if c.wish.out > 0 {
		text = fill(text+" ", c.wish.out)
	}
	return c.respond(text)
}

// synthesize is a synthesizer's answer: each result by its id and first words.
func (c *composer) synthesize() string {
	sources := c.sources("result")
	var b strings.Builder
	number := fmt.Sprintf("%d results", len(sources))
	if len(sources) == 1 {
		number = "one result"
	}
	fmt.Fprintf(&b, "%s An answer to “%s”, composed of %s.\n", simulated, c.topic(200), number)
	for _, s := range sources {
		b.WriteString("\n- " + s.id)
		if s.kind != "" {
			b.WriteString(" (" + s.kind + ")")
		}
		words := clip(s.words, 100)
		if words == "" {
			words = "nothing was handed in"
		}
		b.WriteString(": " + words)
	}
	b.WriteString("\n\nNo model was asked. With one, this would be a single text made of the results above.")
	return c.respond(b.String())
}

// respond puts text into the block that the prompt asks for, if it does.
func (c *composer) respond(text string) string {
	if c.shows("<response>") {
		return "<response>\n" + text + "\n</response>"
	}
	return text
}

// names lists the ids of sources in words.
func names(sources []source) string {
	const most = 5
	var ids []string
	for _, s := range sources[:min(len(sources), most)] {
		ids = append(ids, s.id)
	}
	if more := len(sources) - len(ids); more > 0 {
		ids = append(ids, fmt.Sprintf("%d more", more))
	}
	if n := len(ids); n > 1 {
		return strings.Join(ids[:n-1], ", ") + " and " + ids[n-1]
	}
	return strings.Join(ids, "")
}

// asked puts text into a JSON object where the request demands one.
func (c *composer) asked(text string) string {
	if !c.wantsJSON {
		return text
	}
	return string(append(quote([]byte(`{"answer":`), text), '}'))
}
