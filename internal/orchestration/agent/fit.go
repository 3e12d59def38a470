package agent

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// messageTokens are the marks round a message.
const messageTokens = 8

// maxReserve is the most that is kept free of a window for an answer of no set length.
const maxReserve = 4096

// spent estimates what messages take of a window.
func spent(messages []llm.Message) int {
	n := 0
	for _, m := range messages {
		n += tokens(m.Text) + messageTokens + len(m.Images)*orchestration.ImageTokens
		for _, call := range m.ToolCalls {
			n += tokens(call.Name) + tokens(call.Arguments) + messageTokens
		}
	}
	return n
}

// spentOn estimates what a request takes of a window.
func spentOn(request *llm.Request) int { return spent(request.Messages) + toolTokens(request.Tools) }

func toolTokens(tools []llm.Tool) int {
	n := 0
	for _, t := range tools {
		n += tokens(t.Name) + tokens(t.Description) + tokens(string(t.Schema)) + messageTokens
	}
	return n
}

// within reports whether messages take at most so many tokens; negative: any number.
func within(messages []llm.Message, budget int) bool {
	if budget < 0 {
		return true
	}
	size := 0
	for _, m := range messages {
		if len(m.ToolCalls) > 0 {
			return spent(messages) <= budget
		}
		size += len(m.Text) + messageTokens + len(m.Images)*orchestration.ImageTokens
	}
	return size <= budget || spent(messages) <= budget
}

// budgetOf splits the model's window: what a prompt may take (negative: any
// number), and how long the answer may be (0: as the endpoint likes). Wanted is
// the answer's configured length, which may take half of the window.
func budgetOf(window, wanted int) (budget, answer int) {
	if window == 0 {
		return -1, wanted
	}
	if wanted == 0 {
		return window - min(window/4, maxReserve), 0
	}
	answer = min(wanted, window/2)
	return window - answer, answer
}

// minShare is the least number of tokens to which a text is shortened. Less
// would be little more than the note.
const minShare = 64

// share shortens texts until together they take at most room tokens: from the
// longest down, so that all that are shortened end up equally long. It returns
// false when even that is not enough.
func share(texts []string, room int) ([]string, bool) {
	counts := make([]int, len(texts))
	for i, t := range texts {
		counts[i] = tokens(t)
	}
	level := waterline(counts, room)
	shared := slices.Clone(texts)
	for i, n := range counts {
		if n <= level {
			continue
		}
		if level < minShare {
			return nil, false
		}
		shared[i] = shorten(texts[i], level)
	}
	return shared, true
}

// waterline returns the highest level at which counts, cut down to it, add up
// to at most room; negative when there is none.
func waterline(counts []int, room int) int {
	sorted := slices.Sorted(slices.Values(counts))
	for i, n := range sorted {
		if left := len(sorted) - i; n*left > room {
			if room < 0 {
				return -1
			}
			return room / left
		}
		room -= n
	}
	return math.MaxInt
}

// noteTokens is what the note of shorten takes at most.
const noteTokens = 24

// shorten cuts the middle out of a text so that it takes no more than limit tokens,
// and puts in its place how many characters are left out.
func shorten(text string, limit int) string {
	if tokens(text) <= limit {
		return text
	}
	room := max(0, limit-noteTokens)
	head := headWithin(text, (room+1)/2)
	tail := max(head, tailWithin(text, room/2))
	return text[:head] + fmt.Sprintf("\n[… %d characters left out]\n", utf8.RuneCountInString(text[head:tail])) + text[tail:]
}

// A brief is a prompt with items that may be shortened.
type brief struct {
	system string
	user   func(items []item) string // the user's message with these items in it
	items  []item
	times  int // how often they are in it
	images []llm.Image
}

func (d *brief) messages(items []item) []llm.Message {
	return opening(d.system, d.user(items), d.images)
}

// bare returns how many tokens a budget leaves for items with their tags.
func (d *brief) bare(budget int) int {
	return d.each(budget - spent(d.messages(nil)))
}

// room returns how many tokens a budget leaves for the items' texts, negative
// when there is none for them.
func (d *brief) room(budget int) int {
	bare := slices.Clone(d.items)
	for i := range bare {
		bare[i].text = ""
	}
	return d.each(budget - spent(d.messages(bare)))
}

// each shares out tokens to the places where the items stand. One too few is
// none for any of them: division alone would make it 0.
func (d *brief) each(room int) int {
	if room < 0 {
		return -1
	}
	return room / d.times
}

// fit makes the prompt fit a budget, negative for any. It returns false when
// it does not fit with all items as short as they may be.
func (d *brief) fit(budget int) (messages []llm.Message, shortened, ok bool) {
	messages = d.messages(d.items)
	if within(messages, budget) {
		return messages, false, true
	}
	room := d.room(budget)
	if room < 0 {
		return nil, false, false
	}
	texts := make([]string, len(d.items))
	for i, it := range d.items {
		texts[i] = it.text
	}
	texts, ok = share(texts, room)
	if !ok {
		return nil, false, false
	}
	items := slices.Clone(d.items)
	for i := range items {
		items[i].text = texts[i]
	}
	return d.messages(items), true, true
}
