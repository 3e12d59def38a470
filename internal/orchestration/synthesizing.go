package orchestration

// startSynthesis begins it, with the call that was lost if there is one.
func (d *decision) startSynthesis() { d.askSynthesizer(d.run.Synthesis.Lost) }

// askSynthesizer has the synthesizer asked with what is left of the budget. Where
// that is nothing, the run ends with what it has.
func (d *decision) askSynthesizer(repeats int) {
	r := d.run
	reserved, limit := r.synthesisReserve()
	if limit != "" {
		if r.Exhausted == nil {
			d.emit(0, &BudgetExceeded{Limit: limit, Reason: r.exhaustedBy(limit)})
		}
		d.succeed("")
		return
	}
	d.emit(r.Synthesis.Attempt+1, &SynthesisStarted{
		Model: r.synthesizerModel(), Repeats: repeats, Fallback: r.Synthesis.FellBack, Reserved: reserved,
		CacheKey: r.synthesisKey(),
	})
	d.do(r.synthesize())
}

func (r *Run) synthesizerModel() string {
	model := r.Spec.Synthesizer.Model
	return r.modelOf(model, r.fallbackOf(model), &r.Synthesis.Tries)
}

// synthesized hears how an attempt at the synthesis ended.
func (d *decision) synthesized(o Synthesized) {
	r := d.run
	if r.Synthesis.Status != StatusRunning || o.Attempt != r.Synthesis.Attempt {
		return
	}
	if o.Failure = d.judge(o.Failure, o.Output, KindWorker); o.Failure == nil {
		d.emit(o.Attempt, &SynthesisSucceeded{Output: o.Output, Shortened: o.Shortened, Cached: o.Cached, Calls: o.Calls})
	} else if d.synthesisFailed(o) {
		return
	}
	if r.Ending != nil {
		d.end()
		return
	}
	d.succeed("")
}

// synthesisFailed reports whether there is nothing more to decide.
func (d *decision) synthesisFailed(o Synthesized) bool {
	r := d.run
	fact := &SynthesisFailed{Failure: *o.Failure, Calls: o.Calls}
	if r.Ending != nil {
		fact.Failure = canceledWith(r.Ending)
		d.emit(o.Attempt, fact)
		return false
	}
	// What a run has, whose budget or whose decision allows nothing new, is to be answered with.
	next, follows := d.another(&r.Synthesis.Tries, o.Failure, nil, resort{fallback: r.fallbackOf(r.Spec.Synthesizer.Model) != ""})
	if follows {
		fact.RetryAt, fact.Again, fact.Fallback = &next.at, next.again, next.fallback
	}
	d.emit(o.Attempt, fact)
	switch {
	case follows && next.at.After(d.now):
		d.do(r.synthesisTimer())
	case follows && !d.stopping:
		d.startSynthesis()
	case follows:
	case o.Failure.Code == CodeBudgetExceeded:
		d.exhaust(tenantBudget)
		d.succeed("")
	default:
		d.fail(Failure{Code: CodeSynthesisFailed, Detail: "The synthesis failed: " + o.Failure.Detail}, r.reasonFor())
	}
	return true
}
