package agent

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// What is counted in tokens beside text. An image's share differs by provider
// and size; this is what a middling one takes.
const (
	imageTokens   = 1500
	messageTokens = 8 // the marks round a message
)

// maxReserve is the most that is kept free of a window for an answer of no set length.
const maxReserve = 4096

// windows knows how many tokens models take: what the run's spec says, or less
// where a provider has complained of a prompt that should have fit.
type windows struct {
	mu     sync.Mutex
	learnt map[string]int // by the model's configured name
}

// maxLearnt bounds the windows learnt: without a list of models, callers name them.
const maxLearnt = 1000

// of returns the model's window in tokens, 0 when it is unknown.
func (w *windows) of(model orchestration.Model) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if learnt, ok := w.learnt[model.Name]; ok && (model.ContextWindow == 0 || learnt < model.ContextWindow) {
		return learnt
	}
	return model.ContextWindow
}

// lower notes that sent tokens were too many for the model. The provider may
// have named its window; where that does not explain the complaint, our
// estimate is too low for this text, and a quarter less is assumed.
func (w *windows) lower(model string, named, sent int) {
	if named <= 0 || named >= sent {
		named = sent * 3 / 4
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if learnt, ok := w.learnt[model]; ok && learnt <= named {
		return
	}
	if w.learnt == nil || len(w.learnt) >= maxLearnt {
		w.learnt = map[string]int{}
	}
	w.learnt[model] = named
}

// learn takes a provider's complaint that a request was too long.
func (p *performance) learn(err error, request *llm.Request) {
	named := 0
	var failed *llm.Error
	if errors.As(err, &failed) {
		named = failed.Window
	}
	p.windows.lower(p.model.Name, named, spent(request.Messages)+request.MaxTokens)
}

// spent estimates what messages take of a window.
func spent(messages []llm.Message) int {
	n := 0
	for _, m := range messages {
		n += tokens(m.Text) + messageTokens + len(m.Images)*imageTokens
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
		size += len(m.Text) + messageTokens + len(m.Images)*imageTokens
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

// shorten cuts the middle out of a text so that it takes at most most tokens,
// and puts in its place how many characters are left out.
func shorten(text string, most int) string {
	if tokens(text) <= most {
		return text
	}
	room := max(0, most-noteTokens)
	head := headWithin(text, (room+1)/2)
	tail := max(head, tailWithin(text, room/2))
	return text[:head] + fmt.Sprintf("\n[… %d characters left out]\n", utf8.RuneCountInString(text[head:tail])) + text[tail:]
}

// A draft is a prompt with items that may be shortened.
type draft struct {
	system string
	user   func(items []item) string // the user's message with these items in it
	items  []item
	times  int // how often they are in it
	images []llm.Image
}

func (d *draft) messages(items []item) []llm.Message {
	return opening(d.system, d.user(items), d.images)
}

// room returns how many tokens the items' texts may take, negative when
// there is none for them.
func (d *draft) room(budget int) int {
	bare := slices.Clone(d.items)
	for i := range bare {
		bare[i].text = ""
	}
	return (budget - spent(d.messages(bare))) / d.times
}

// fit makes the prompt fit a budget, negative for any. It returns false when
// it does not fit with all items as short as they may be.
func (d *draft) fit(budget int) (messages []llm.Message, shortened, ok bool) {
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
