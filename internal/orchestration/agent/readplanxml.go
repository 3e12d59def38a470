package agent

import "bytes"

// An xmlPlan is what is open of a plan in XML.
type xmlPlan struct {
	list  *planList
	entry *planEntry // the <task>
	loose []byte     // its text outside of fields
	field planField  // whose text is read
	task  bool       // a <task> began in that text
}

func isTaskList(name string) bool { return name == "tasks" || name == "subtasks" }
func isTask(name string) bool     { return name == "task" || name == "subtask" }

const analysisTag = "analysis"

func knowsPlanTag(name string) bool {
	return isTaskList(name) || isTask(name) || name == analysisTag || isThinking(name) || fieldOf[name] != 0
}

// inTag takes a byte of what may be a tag.
func (r *planReader) inTag(c byte, at int) bool {
	switch r.tag.push(c, at) {
	case scanNot:
		// A tag of another name, if it has no more to it, may stand round a plan.
		if r.mode == planProse && c == '>' && len(r.tag.name) > 0 {
			return true
		}
		if r.mode == planProse {
			r.lead.over = true
		}
		return false
	case scanDone:
		r.tagged(r.tag.tag)
	}
	return true
}

// skipped looks whether the comment or CDATA that is skipped ends here.
func (r *planReader) skipped(at int) {
	if at+1-r.skipFrom >= len(r.skip) && bytes.HasSuffix(r.text[:at+1], []byte(r.skip)) {
		r.skip = ""
	}
}

// tagged takes a tag.
func (r *planReader) tagged(t readTag) {
	r.skipFrom = t.end
	switch {
	case t.name == openComment && r.mode == planProse:
		r.skip = closeComment
	case t.name == openCDATA && (r.mode == planTask || r.mode == planText):
		r.skip = closeCDATA
	case r.mode == planThink && t.closing && t.name == r.think:
		r.mode = planProse
	case r.mode == planProse:
		r.tagInProse(t)
	case r.mode == planTask:
		r.tagInTask(t)
	case r.mode == planText && r.xml.entry == nil:
		r.tagInAnalysis(t)
	case r.mode == planText:
		r.tagInField(t)
	}
}

func (r *planReader) tagInProse(t readTag) {
	r.mode = planProse
	switch {
	case isThinking(t.name) && t.closing:
		r.restart()
	case isThinking(t.name) && !t.empty:
		r.mode, r.think = planThink, t.name
	case t.name == analysisTag && !t.closing && !t.empty:
		r.mode, r.from = planText, t.end
	case isTaskList(t.name):
		if r.endXMLList(); !t.closing {
			r.xml.list = r.newList(true, r.begins())
		}
		if t.empty {
			r.endXMLList()
		}
	case isTask(t.name) && !t.closing:
		r.beginTask(t)
	}
}

func (r *planReader) tagInAnalysis(t readTag) {
	ends := t.closing && t.name == analysisTag
	next := isTaskList(t.name) || t.closing && isThinking(t.name) && r.lead.over
	if !ends && !next {
		return
	}
	r.analysis = trimmed(xmlText(string(r.text[r.from:t.start])))
	if r.mode = planProse; next {
		r.tagInProse(t)
	}
}

func (r *planReader) tagInTask(t readTag) {
	x := &r.xml
	switch f := fieldOf[t.name]; {
	case isTask(t.name) && t.closing:
		r.endTask(t.start)
	case isTask(t.name), isTaskList(t.name), t.name == analysisTag, isThinking(t.name) && t.closing:
		r.endTask(t.start)
		r.tagInProse(t)
	case isThinking(t.name), t.closing, f == 0:
		return
	default:
		x.loose = append(x.loose, r.text[r.from:t.start]...)
		x.field, x.task, r.from, r.mode = f, false, t.end, planText
		if t.empty {
			r.endField(t.end)
		}
	}
}

func (r *planReader) tagInField(t readTag) {
	x := &r.xml
	switch ofTask := isTask(t.name) || isTaskList(t.name); {
	case ofTask && t.closing:
		x.entry.unclosed(x.field)
		r.endField(t.start)
		r.tagInTask(t)
	case ofTask:
		x.task = x.task || isTask(t.name)
	case t.closing && isThinking(t.name) && !x.list.lead && !x.list.readable && !r.committed:
		r.tagInProse(t) // so far a model thought aloud about tags
	case t.closing && fieldOf[t.name] == x.field:
		r.endField(t.start)
		r.from = t.end
	}
}

// endField takes the text that ends here as a field of the task.
func (r *planReader) endField(end int) {
	x := &r.xml
	text := xmlText(string(r.text[r.from:end]))
	r.work += end - r.from
	if x.field == fieldDependsOn {
		x.entry.depend(text)
	} else {
		x.entry.set(x.field, text)
	}
	if x.task {
		x.entry.unclosed(x.field)
	}
	r.mode, r.from = planTask, end
}

// unclosed notes that a description may hold more than it should. A field that
// is not a description cannot hide a subtask without leaving its own blank.
func (d *planEntry) unclosed(f planField) {
	if f.pointer() == "/description" && len(d.item.problems) == 0 {
		d.item.fault("/description", problemUnreadable, "The description is not closed, or has a <task> tag inside: close it, and write &lt;task&gt; for such a tag in text.")
	}
}

func (r *planReader) beginTask(t readTag) {
	x := &r.xml
	if lead := r.begins(); x.list == nil {
		x.list = r.newList(false, lead)
	}
	x.list.start = t.start
	x.entry, x.loose = &planEntry{}, nil
	attributesOf(string(r.text[t.attributes:t.end]), func(name, value string) {
		switch f := fieldOf[name]; f {
		case 0:
		case fieldDependsOn:
			x.entry.depend(value)
		default:
			x.entry.set(f, value)
		}
	})
	r.mode, r.from = planTask, t.end
	if t.empty {
		r.endTask(t.end)
	}
}

// endTask adds the task that ends here to its list. Text outside of its fields
// is the description of a task that has no other.
func (r *planReader) endTask(end int) {
	x := &r.xml
	l, d := x.list, x.entry
	l.described = l.described || d.described()
	x.loose = append(x.loose, r.text[r.from:end]...)
	r.work += len(x.loose)
	if loose := trimmed(xmlText(string(x.loose))); !d.described() && loose != "" {
		d.set(fieldContent, loose)
	}
	x.entry, l.start, r.mode = nil, -1, planProse
	l.add(d.done(len(l.items)+l.extra+1), r.most)
	r.added(l)
}

func (r *planReader) endXMLList() {
	if l := r.xml.list; l != nil {
		r.xml.list = nil
		r.consider(l)
	}
}

// endXML hears that the answer has ended outside of JSON. Only the last task of
// a list without <tasks> may go without its closing tag, once it is described.
func (r *planReader) endXML(cut string) {
	l, whole := r.xml.list, true
	switch {
	case r.mode == planText:
		r.cut, whole = true, false
	case r.mode == planTask && r.xml.entry.described():
		r.endTask(len(r.text))
	case r.mode == planTask:
		whole = false
	}
	if l != nil && (l.named || !whole) {
		l.breakOff(problemTruncated, cut)
	}
	r.endXMLList()
}
