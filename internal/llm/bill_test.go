package llm

import "testing"

// What could not be sent costs its run and its tenant nothing, beside calls that do.
func TestWhatWasNotSentIsNotCharged(t *testing.T) {
	for name, test := range map[string]struct {
		calls []Call
		want  float64
	}{
		"not sent":     {[]Call{{Outcome: Unavailable, Unsent: true}}, 0},
		"one of two":   {[]Call{{Outcome: InvalidRequest}, {Outcome: Unavailable, Unsent: true}}, 3000},
		"sent in vain": {[]Call{{Outcome: Unavailable}}, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			run, tenant := &party{index: -1, weight: 1, had: 5000}, &party{index: -1, weight: 1, had: 5000}
			bill{run: run, tenant: tenant, charged: 5000, prompt: 3000}.settle(test.calls)
			if run.had != test.want || tenant.had != test.want {
				t.Errorf("the run was charged %v, the tenant %v, want %v", run.had, tenant.had, test.want)
			}
		})
	}
}
