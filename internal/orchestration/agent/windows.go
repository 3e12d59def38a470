package agent

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// windows knows how many tokens models take: what the run's spec says, or less
// where a provider has complained of a prompt that should have fit.
type windows struct {
	mu     sync.Mutex
	learnt map[string]window // by the model's configured name
}

// A window is what was learned of a model's, in tokens.
type window struct {
	named   int       // by its provider; 0: never
	guessed int       // from the latest odd text
	until   time.Time // the guess holds
}

// guessKept is for how long a window is guessed from one text, which may be of a kind
// that comes once: a guess too low shortens everybody's prompts.
const guessKept = time.Hour

func (w window) guess() int {
	if time.Now().Before(w.until) {
		return w.guessed
	}
	return 0
}

// maxLearnt bounds the windows learnt: without a list of models, callers name them.
const maxLearnt = 1000

// of returns the model's window in tokens, 0 when it is unknown.
func (w *windows) of(model orchestration.Model) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	learnt := w.learnt[model.Name]
	return narrower(narrower(model.ContextWindow, learnt.named), learnt.guess())
}

// narrower returns the narrower one of two windows, of which 0 is not known.
func narrower(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// lower notes that sent tokens were too many for the model. The provider may
// have named its window; where that does not explain the complaint, our
// estimate is too low for this text, and a quarter less is assumed for a while.
func (w *windows) lower(model string, named, sent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	learnt := w.learnt[model]
	learnt.named = narrower(learnt.named, max(0, named))
	explained := named > 0 && named < sent
	if guess := sent * 3 / 4; !explained && narrower(learnt.guess(), guess) == guess {
		learnt.guessed, learnt.until = guess, time.Now().Add(guessKept)
	}
	if w.learnt == nil || len(w.learnt) >= maxLearnt {
		w.learnt = map[string]window{}
	}
	w.learnt[model] = learnt
}

// learn takes a provider's complaint that a request was too long, and reports whether
// the next one will be shorter for it. Images may be more than a proxy lets through, or
// than we reckon them at: where they may be the reason, nothing is learned about texts.
func (p *performance) learn(err error, request *llm.Request) bool {
	named, sent := 0, spentOn(request)+request.MaxTokens
	var failed *llm.Error
	if errors.As(err, &failed) {
		named = failed.Window
	}
	if explained := named > 0 && named < sent; !explained && pictured(request.Messages) {
		return false
	}
	p.windows.lower(p.model.Name, named, sent)
	return true
}

func pictured(messages []llm.Message) bool {
	return slices.ContainsFunc(messages, func(m llm.Message) bool { return len(m.Images) > 0 })
}
