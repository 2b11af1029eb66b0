	switch (t->back) {
	default: Uerror("bad return move");
	case  0: goto R999; /* nothing to undo */

		 /* PROC sampler */

	case 3: // STATE 1
		;
		((P2 *)_this)->read = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 5: // STATE 3
		;
		((P2 *)_this)->seen_epoch = trpt->bup.oval;
		;
		goto R999;

	case 6: // STATE 6
		;
		((P2 *)_this)->at = trpt->bup.ovals[2];
		((P2 *)_this)->called = trpt->bup.ovals[1];
		((P2 *)_this)->really = trpt->bup.ovals[0];
		;
		ungrab_ints(trpt->bup.ovals, 3);
		goto R999;

	case 7: // STATE 8
		;
		((P2 *)_this)->now_epoch = trpt->bup.oval;
		;
		goto R999;
	case 8: // STATE 16
		sv_restor();
		goto R999;

	case 9: // STATE 17
		;
	/* 0 */	((P2 *)_this)->resolved = trpt->bup.oval;
		;
		;
		goto R999;

	case 10: // STATE 21
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;

	case 11: // STATE 23
		;
		((P2 *)_this)->now_epoch = trpt->bup.oval;
		;
		goto R999;

	case 12: // STATE 24
		;
	/* 0 */	((P2 *)_this)->now_epoch = trpt->bup.oval;
		;
		;
		goto R999;
;
		;
		
	case 14: // STATE 26
		;
		((P2 *)_this)->slot = trpt->bup.oval;
		;
		goto R999;

	case 15: // STATE 28
		;
		now.slots = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 17: // STATE 30
		;
		now.entry = trpt->bup.oval;
		;
		goto R999;

	case 18: // STATE 31
		;
		((P2 *)_this)->slot = trpt->bup.oval;
		;
		goto R999;

	case 19: // STATE 32
		;
		now.has_address[ Index(((P2 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 20: // STATE 37
		;
		((P2 *)_this)->last_valid = trpt->bup.oval;
		;
		goto R999;

	case 21: // STATE 41
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
;
		;
		;
		;
		
	case 24: // STATE 45
		;
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 26: // STATE 49
		;
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 27: // STATE 47
		;
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 28: // STATE 53
		;
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 29: // STATE 55
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
;
		;
		;
		;
		
	case 32: // STATE 65
		;
		((P2 *)_this)->last_valid = trpt->bup.ovals[1];
		now.mutex = trpt->bup.ovals[0];
		;
		ungrab_ints(trpt->bup.ovals, 2);
		goto R999;

	case 33: // STATE 72
		;
	/* 0 */	((P2 *)_this)->last_valid = trpt->bup.oval;
		;
		;
		goto R999;

	case 34: // STATE 77
		;
		((P2 *)_this)->leaf = trpt->bup.ovals[1];
		((P2 *)_this)->last_valid = trpt->bup.ovals[0];
		;
		ungrab_ints(trpt->bup.ovals, 2);
		goto R999;

	case 35: // STATE 77
		;
		((P2 *)_this)->leaf = trpt->bup.oval;
		;
		goto R999;

	case 36: // STATE 80
		;
	/* 0 */	((P2 *)_this)->called = trpt->bup.oval;
		;
		;
		goto R999;
	case 37: // STATE 85
		sv_restor();
		goto R999;

	case 38: // STATE 89
		;
		((P2 *)_this)->read = trpt->bup.oval;
		;
		goto R999;

	case 39: // STATE 95
		;
		p_restor(II);
		;
		;
		goto R999;

		 /* PROC snapshot */
;
		;
		
	case 41: // STATE 2
		;
		((P1 *)_this)->slot = trpt->bup.oval;
		;
		goto R999;

	case 42: // STATE 4
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;

	case 43: // STATE 6
		;
		((P1 *)_this)->address_of = trpt->bup.oval;
		;
		goto R999;

	case 44: // STATE 8
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;

	case 45: // STATE 10
		;
	/* 0 */	((P1 *)_this)->address_of = trpt->bup.oval;
		;
		;
		goto R999;

	case 46: // STATE 11
		;
		((P1 *)_this)->kind = trpt->bup.oval;
		;
		goto R999;

	case 47: // STATE 12
		;
	/* 0 */	((P1 *)_this)->kind = trpt->bup.oval;
		;
		;
		goto R999;

	case 48: // STATE 14
		;
		now.life = trpt->bup.oval;
		;
		goto R999;

	case 49: // STATE 17
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;

	case 50: // STATE 19
		;
		((P1 *)_this)->address_of = trpt->bup.oval;
		;
		goto R999;

	case 51: // STATE 21
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;

	case 52: // STATE 23
		;
	/* 0 */	((P1 *)_this)->address_of = trpt->bup.oval;
		;
		;
		goto R999;
;
		;
		
	case 54: // STATE 26
		;
		now.belongs[ Index(((P1 *)_this)->slot, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 55: // STATE 33
		;
		now.life = trpt->bup.oval;
		;
		goto R999;

	case 56: // STATE 41
		;
		p_restor(II);
		;
		;
		goto R999;

		 /* PROC program */

	case 57: // STATE 1
		;
		((P0 *)_this)->step = trpt->bup.oval;
		;
		goto R999;
;
		;
		;
		;
		
	case 60: // STATE 85
		;
		((P0 *)_this)->step = trpt->bup.ovals[3];
		now.tracer_slot = trpt->bup.ovals[2];
		now.here = trpt->bup.ovals[1];
		now.born = trpt->bup.ovals[0];
		;
		ungrab_ints(trpt->bup.ovals, 4);
		goto R999;
;
		;
		
	case 62: // STATE 9
		;
		now.here = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 64: // STATE 11
		;
		now.here = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 66: // STATE 85
		;
		((P0 *)_this)->step = trpt->bup.ovals[2];
		now.instruction = trpt->bup.ovals[1];
		now.running = trpt->bup.ovals[0];
		;
		ungrab_ints(trpt->bup.ovals, 3);
		goto R999;
;
		;
		
	case 68: // STATE 17
		;
		now.instruction = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 70: // STATE 19
		;
		now.running = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 72: // STATE 22
		;
		now.life = trpt->bup.oval;
		;
		goto R999;

	case 73: // STATE 25
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
	case 74: // STATE 36
		sv_restor();
		goto R999;

	case 75: // STATE 38
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
;
		;
		;
		;
		
	case 78: // STATE 43
		;
		now.belongs[ Index(((P0 *)_this)->mine, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 79: // STATE 50
		;
		now.life = trpt->bup.oval;
		;
		goto R999;

	case 80: // STATE 52
		;
		now.dead = trpt->bup.oval;
		;
		goto R999;

	case 81: // STATE 53
		;
		now.here = trpt->bup.oval;
		;
		goto R999;

	case 82: // STATE 54
		;
		now.tracer_slot = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 84: // STATE 58
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 86: // STATE 61
		;
		((P0 *)_this)->mine = trpt->bup.oval;
		;
		goto R999;

	case 87: // STATE 63
		;
		now.slots = trpt->bup.oval;
		;
		goto R999;
;
		;
		
	case 89: // STATE 65
		;
		now.entry = trpt->bup.oval;
		;
		goto R999;

	case 90: // STATE 66
		;
		((P0 *)_this)->mine = trpt->bup.oval;
		;
		goto R999;

	case 91: // STATE 67
		;
		now.has_address[ Index(((P0 *)_this)->mine, 4) ] = trpt->bup.oval;
		;
		goto R999;

	case 92: // STATE 72
		;
		now.mutex = trpt->bup.oval;
		;
		goto R999;
	case 93: // STATE 80
		sv_restor();
		goto R999;

	case 94: // STATE 85
		;
		((P0 *)_this)->step = trpt->bup.oval;
		;
		goto R999;

	case 95: // STATE 85
		;
		((P0 *)_this)->step = trpt->bup.oval;
		;
		goto R999;

	case 96: // STATE 91
		;
		p_restor(II);
		;
		;
		goto R999;
	}

