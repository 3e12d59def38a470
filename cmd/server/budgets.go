package main

import (
	"context"
	"errors"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// A treasury holds back what calls may cost from the budgets that the settings
// give tenants for each day, in UTC.
type treasury struct {
	journal journal.Journal
	perDay  map[string]float64 // by tenant, in US dollars
}

// How long a call waits for the holds of others, most of which turn out to be
// more than was needed, and how often it looks.
const (
	holdPatience = time.Minute
	holdLook     = 250 * time.Millisecond
)

// Hold keeps back what a call may cost. Where only the holds of other calls are in
// the way it waits a while for them. A run that was accepted when its tenant had a
// budget goes on without one.
func (t treasury) Hold(ctx context.Context, h orchestration.Hold) error {
	most, bounded := t.perDay[h.Tenant]
	if !bounded {
		return nil
	}
	for began := time.Now(); ; {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		err := t.journal.Hold(ctx, h, orchestration.Budget{Period: today, CostUSD: most})
		if !errors.Is(err, orchestration.ErrBudget) || time.Since(began) >= holdPatience {
			return err
		}
		spent, held, failed := t.journal.Spent(ctx, h.Tenant, today)
		if failed != nil || held == 0 || spent+h.CostUSD > most {
			return err
		}
		select {
		case <-time.After(holdLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dailyBudgets are what tenants may spend in a day, of those that have a bound.
func (c *Config) dailyBudgets() map[string]float64 {
	perDay := map[string]float64{}
	for name, t := range c.Tenants {
		if t.Limits.CostUSDPerDay > 0 {
			perDay[name] = t.Limits.CostUSDPerDay
		}
	}
	return perDay
}
