package api

import (
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// The longest durations that a request may ask for.
const (
	maxTimeout        = 24 * time.Hour
	maxSubtaskTimeout = time.Hour
	maxCache          = 30 * 24 * time.Hour
)

func (a *acceptance) limits(spec *orchestration.Spec) {
	l, asked := a.defaults.Limits, a.request.Limits
	override(&l.MaxConcurrency, asked.MaxConcurrency)
	override(&l.MaxAttempts, asked.MaxAttempts)
	override(&l.MaxSubtasks, asked.MaxSubtasks)
	override(&l.MaxOutputBytes, asked.MaxOutputBytes)
	a.duration(&l.Timeout, asked.Timeout, maxTimeout, "/limits/timeout")
	a.duration(&l.SubtaskTimeout, asked.SubtaskTimeout, maxSubtaskTimeout, "/limits/subtask_timeout")
	a.duration(&l.ReplanCooldown, asked.ReplanCooldown, maxTimeout, "/limits/replan_cooldown")
	if asked.MaxReplans != nil { // 0 is a wish, too
		l.MaxReplans = *asked.MaxReplans
	}
	override(&l.MaxIterations, asked.MaxIterations)
	override(&l.MaxLLMCalls, asked.MaxLlmCalls)
	override(&l.MaxTokens, asked.MaxTokens)
	override(&l.MaxCostUSD, asked.MaxCostUsd)
	spec.Limits = l
}

// cache takes how long outputs may be used again.
func (a *acceptance) cache(spec *orchestration.Spec) {
	ttl := time.Duration(spec.Cache)
	a.duration(&ttl, a.request.Cache, maxCache, "/cache")
	spec.Cache = orchestration.Duration(ttl)
}

func (a *acceptance) duration(to *time.Duration, text string, most time.Duration, pointer string) {
	if text == "" {
		return
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		a.add(codeInvalidRequest, pointer, "invalid_duration", `must be a duration such as "90s"`)
	case d <= 0 || d > most:
		a.add(codeInvalidRequest, pointer, "out_of_range", "must be more than 0 and at most %s", most)
	default:
		*to = d
	}
}

// override replaces a default by what the request says, if it does.
func override[T comparable](to *T, asked T) {
	var none T
	if asked != none {
		*to = asked
	}
}

// prices refuses a limit on the cost of calls whose price is not known: nothing
// could hold to it.
func (a *acceptance) prices(spec *orchestration.Spec) {
	if spec.Limits.MaxCostUSD == 0 && !spec.Held {
		return
	}
	pointer, bound := "/limits/max_cost_usd", "a limit on the cost"
	if spec.Limits.MaxCostUSD == 0 {
		pointer, bound = "", "the tenant's budget"
	}
	for _, m := range spec.Models {
		if m.Price == nil {
			a.add(codeInvalidRequest, pointer, "unknown_price", "%s needs the price of every model, and that of %.100q is not configured", bound, m.Name)
		}
	}
}
