package orchestration

import (
	"cmp"
	"time"
)

// Waiting before another attempt: doubled from one to the next, with jitter
// that only adds, so that neither a provider's wish nor the backoff is undercut
// and runs that failed together do not come back together.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	retryMost  = 5 * time.Minute // of what a provider may ask for
	jitter     = 0.5             // at most this share is added
	mostSpared = 10              // attempts in a row that count for nothing: some five minutes
)

// retryDelay returns how long to wait after the attempt-th attempt failed. first is
// how long after the first; 0: firstRetry.
func retryDelay(attempt int, first, retryAfter time.Duration, random float64) time.Duration {
	first = cmp.Or(first, firstRetry)
	delay := first << min(max(attempt, 1)-1, 10)
	delay = max(min(delay, max(first, lastRetry)), min(retryAfter, retryMost))
	return delay + time.Duration(random*jitter*float64(delay))
}

// A retry is the attempt that follows a failed one.
type retry struct {
	at       time.Time
	again    bool // it makes the same call again, which was cut short
	fallback bool // it falls back to a simpler prompt, another model, or both
}

// A resort is what there is to turn to where a model does not answer.
type resort struct {
	fallback bool // another prompt or model
	value    bool // an output, when all else has failed
}

// retry decides whether another attempt follows one that failed, in a run in which
// there is still something new to be done.
func (d *decision) retry(t *Tries, f *Failure, own *Retry, last resort) (retry, bool) {
	if d.run.over() {
		return retry{}, false
	}
	return d.another(t, f, own, last)
}

// another decides whether another attempt follows one that failed: as long as
// there are attempts and the failure may pass, with the same model; then with
// the fallback, if there is one. A call that this process cut short, because it
// is about to stop, has not failed. Where there is nothing else to turn to, one that
// was not made, since the endpoint is left alone or away, has not failed either, for
// a while. What could be tried only when the run's time is up is not waited for.
func (d *decision) another(t *Tries, f *Failure, own *Retry, last resort) (retry, bool) {
	if own == nil {
		own = new(Retry)
	}
	after := func(n int) time.Time {
		return d.now.Add(retryDelay(n, time.Duration(own.Backoff), f.RetryAfter, d.random))
	}
	patient := f.Spared && t.Spared < mostSpared && (!last.fallback || t.FellBack) && !last.value
	deadline := d.run.Deadline()
	switch {
	case f.Code == CodeBudgetExceeded:
		return retry{}, false
	case d.stopping && f.Code == CodeCanceled:
		return retry{at: d.now, again: true}, true
	case patient && after(t.Spared+1).Before(deadline):
		return retry{at: after(t.Spared + 1), again: true}, true
	case f.Retryable && t.Tried < cmp.Or(own.MaxAttempts, d.run.Spec.Limits.MaxAttempts) && after(t.Tried).Before(deadline):
		return retry{at: after(t.Tried)}, true
	case last.fallback && !t.FellBack:
		return retry{at: d.now, fallback: true}, true
	}
	return retry{}, false
}

// modelOf returns the model that the next attempt asks.
func (r *Run) modelOf(model, fallback string, t *Tries) string {
	if fallback != "" && t.FellBack {
		return fallback
	}
	return model
}

// fallbackOf returns the fallback of a model, "" if it has none.
func (r *Run) fallbackOf(model string) string { return r.Spec.Model(model).Fallback }
