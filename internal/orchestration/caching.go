package orchestration

// Caches returns what events of the run add to its tenant's cache, for the commit
// that they are in: each output, plan and answer that was made by a call and is
// asked to be kept, until its time is over. What was itself found in the cache is
// not kept anew. The run must be as it is after these events.
func (r *Run) Caches(_ []Event) []Cached { return nil }
