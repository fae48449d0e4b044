"""What people say about mail, calendars, tasks, files and colleagues; written as `hints.py` tells."""

from typing import Final

OFFICE: Final = """
mailbox inbox mail mails emails e-mail letter > email message
who_wrote wrote_me did_write wrote_anything heard_from got_from anything_from from_last > search email mailbox
open_mail what_write what_says whole_mail full_text > read email text
write_back get_back_to tell_sender reply_all let_them_know > reply answer
cc subject shoot_mail drop_line write_to > send email
pass_along pass_on send_on hand_over > forward message
don't_send not_send don't_send_yet not_yet later_send prepare_mail write_up > draft without
out_of_inbox file_away put_away done_with > archive inbox
junk phishing scam spammer pretends pretend poses_as fake swindle con_artist > spam junk
away ooo auto_reply autoreply automatically_hear back_on back_from gone_until > out office absence automatic away
mailing_list promo promos newsletter stop_sending off_list leave_list don't_want every_day_mail make_that_end
  annoying_mails > unsubscribe newsletter mailing
attachment attached came_with enclosed pdf_from > attachment file save
calendar agenda diary on_my_plate today's_plan my_day day_look busy_on have_got going_on schedule > calendar
  appointment event list
put_in_calendar pencil_in in_my_calendar set_meeting set_up_meeting meeting_with invite_all block_hour block_out >
  create event appointment calendar
postpone reschedule move_to push_to an_hour_later later_than earlier_than bring_forward shift_to delay_meeting >
  move event time appointment
call_off scrap_meeting no_meeting drop_meeting not_happening won't_happen scrap o'clock_with the_meeting
  won't_take_place take_place not_taking_place cancelled kickoff canceled > cancel event appointment
suits work_for_all everyone_free all_free both_free available_together find_time time_for_all squeeze > free slot
  time people
rsvp say_yes say_no i'll_come can't_make can't_come turn_down i'll_be i'll_only > respond invitation accept decline
conference_room somewhere_to_meet place_to_meet room_for room_with projector whiteboard beamer seats > room meeting
  conference
which_rooms any_room empty_room room_free anything_free empty_at free_right_now nobody_using > free room
remind don't_forget let_me_forget don't_let_forget not_forget nudge ping_me must_remember > reminder remind todo
countdown count_down boil boiling boiled egg eggs oven steep steeping tea_steep bake baking pasta_on simmer ring_in
  alarm_in beep minutes_from > timer countdown ring
local_time o'clock_there what_time_in time_over_there call_them_now awake_there > world clock time
public_holiday bank_holiday day_off everybody_off closed_on offices_closed > holiday public country
slack teams channel > slack channel message
dm whisper privately direct_message tell_him tell_her ask_discreetly discreetly quietly in_private > direct message
  private
missed catch_me catch_up what's_been been_going what_happened_in > channel history latest
did_mention said_about who_said somebody_said talked_about posted_about wrote_about > search message wrote
new_channel own_channel space_for open_a_room open_channel start_channel > create channel
add_people add_to_channel get_into pull_into bring_into > invite channel people
keep_top stick_to_top > pin message
status_icon show_me_as set_status show_as away_icon emoji smiley face i'm_at_lunch > status emoji text
long_thread too_long tl_dr gist_of boil_down points_of sum_up nutshell short_version digest > summarize condense
  points shorten
video_call hop_on get_on_call ring_up zoom call_with face_to_face huddle > call video people teams
sms text_message no_internet text_him text_her by_phone_number mobile_number > sms text phone
jira backlog story epic board > jira issue
low medium high blocker prio priority urgent critical p1 p2 > priority issue severity
in_review in_progress move_to_done my_side ready_for to_done is_finished is_done > transition state issue workflow
spent_hours worked_on hours_on took_me log_time book_time log_hours half_a_day full_day cost_me_minutes
  cost_me_hours > worklog hours spent
depends_on is_blocked_by blocked_by relates duplicate_of can't_before before_we_can has_to_wait waiting_on depends
  before_can only_after can't_be_done blocked prerequisite > link issue block
velocity burndown last_sprint sprint_go did_we_finish points_did manage_last > sprint report points
how_big story_points complexity poker five_points eight_points > estimate points
to-do remember_to have_to need_to_do add_list on_my_list my_list > todo entry list
still_have_to what's_left open_tasks outstanding_tasks > todo list open
tick check_off tick_off cross_off did_it done_with off_list finally_done > complete tick todo entry
on_track on_schedule milestones slip slipped behind_schedule relaunch roadmap deadline be_ready when_is_ready >
  milestone project timeline planned
google_drive shared_drive shared_folder shared_folders deck slides presentation spreadsheet keynote document_about >
  drive document search
let_edit let_see share_with view_access editor viewer commenter give_access_file read_rights write_rights
  edit_rights give_read pptx pages_numbers > share file access
bin trash get_rid_file no_longer_needed not_needed throw_out > trash delete bin
confluence handbook runbook howto how-to intranet knowledge_base written_down our_docs > wiki page
out_of_date outdated no_longer_true fix_page correct_it please_correct wrong_on_page > update page change
write_down_wiki document_it new_page > create page wiki
google_sheet excel xlsx csv workbook tab cells rows > spreadsheet sheet cell
add_line add_row at_the_end another_row under_the_others below_the_others next_line to_the_bottom to_the_end >
  append row
visualise visualize pie_chart bar_chart chart_of as_chart draw_chart something_visual visual visually > chart draw
text_out_of text_inside get_text extract copy_text > extract text
put_together join_pdfs one_file into_one stick_together combine_pdf glue staple stitch paste_together
  single_document one_document > merge join pdf
as_word as_pdf as_docx save_as_pdf into_pdf into_word docx odt html markdown md export_as turn_into > convert
  document word pdf
scanned photographed handwriting handwritten read_off read_photo photo_of_text receipt_photo > ocr scan photo text
jot scribble write_down keep_in_mind note_to_self memo idea for_later meeting_minutes protocol_of write_this_down
  remember_this make_a_note remember code_is keep_for_later for_the_record > note write
my_notes i_wrote_down noted notes_on wrote_down where_note > note search find
changed_jobs new_number new_email moved_to married now_works name_changed > update contact detail change
twice duplicate duplicates double doubled same_person entered_twice > merge duplicate
spoke_to talked_to phoned on_phone rang had_call called_me after_call just_called > call phone log record
how_big_company employees_have background_on startup funding raised series_a investors > company profile funding
  industry
customer complains complaint angry furious unhappy called_in wrote_in helpdesk hotline zendesk freshdesk intercom >
  ticket support customer
charge debit take_from_card card_on_file stored_card > charge card amount
more_seats bigger_plan next_plan switch_to_pro switch_plan go_pro enterprise_plan premium downgrade > upgrade plan
own_pocket out_of_pocket paid_myself paid_for_it taxi_bill get_that_back i'd_like_back paid_back claim_back receipt
  business_trip > expense reimbursement receipt
package parcel courier dhl ups fedex dpd out_for_delivery hermes where's_my should_have_been not_arrived arrive >
  parcel shipment track
moved_house wrong_address wrong_street new_address typo_address deliver_to_instead send_it_to different_address >
  address shipping order change
colleague coworker which_office extension_of works_where sits who_is_he desk_number > employee find role office team
boss reports_to report_to manager_of hierarchy who_leads reporting_line direct_reports who's_above whole_department
  > org chart report
take_off want_off day_off days_off week_off weeks_off time_off pto vacation_from parental sick_leave get_off > leave
  vacation request absence
days_left vacation_left leave_left carry_over > vacation left balance leave
who's_out who's_away who's_off out_next away_next who's_in off_sick who_is_missing on_vacation is_on_holiday >
  absence team away
wants_vacation can_he_go approve_holiday leave_request can_go_in can_have_off may_go fine_by_me says_yes_to
  fine_with_me > approve leave request
salary pay_slip payslip paycheck wage net_pay gross_pay deducted > salary statement payslip
hiring vacancies openings jobs_open open_jobs looking_to_hire headcount recruit > job position hiring
applicant interviews applied decided_on hire_him hire_her far_along process_with still_interviewing get_the_job
  job_application > candidate applicant hiring status
talk_to_candidate meet_candidate interview_with invite_candidate panel_interview should_talk_to introduce
  candidate_should > interview candidate schedule
joins joining first_day new_colleague new_starter new_hire starts_on starts_with starts_in begins_on begins_in
  get_everything_ready everything_ready prepare_everything set_her_up set_him_up > onboard employee new checklist
leaves_us leaving last_day quits resigned resigns left_company fired laid_off gave_notice > offboard employee leave
  account
start_work starting_work i'm_here start_my_day just_arrived at_my_desk punch_in begin_work > clock start working
  time
end_work going_home leaving_now done_for_today punch_out finish_for > clock end working time
overtime hours_this hours_done hours_have_done work_how_much worked_week worked_this flexitime worked > hours worked
  timesheet week
birthday cake anniversary anniversaries congratulate turns_30 > birthday anniversary employee
appraisal goals_get goals_got feedback_last last_year's_review performance development_talk annual_talk >
  performance review goal feedback
dripping leaking flickering doesn't_close toilet radiator_cold elevator lift heating_broken smells air_conditioning
  broken_window squeaks tap > maintenance building defect report caretaker room
guest comes_by visits_us coming_by visiting_us delegation reception badge announce candidate_visits customer_visits
  auditor_comes technician_comes > visitor reception announce
desk seat_in hot_desk place_to_work sit workplace > desk office book
canteen cafeteria downstairs for_lunch lunch_today serve served soup_today veggie fish meat_today vegetarian_today
  dessert > canteen menu serve
toner cartridge paper_jam jam jammed out_of_paper prints > printer paper toner
training trainings course workshop class_on learn_about like_to_learn offer_courses certification > course training
  topic
sign_up_for sign_me_up enrol register_for put_me_down > enroll course sign
let_know tell_by_mail drop_a_mail write_him write_her > send message email
on_today on_tomorrow my_week day_like week_like am_i_busy anything_on planned_for planned_on anything_planned >
  event calendar appointment list
coffee_with meet_with catch-up_with sync_with > create event appointment
somewhere_for people_at people_for_meeting small_room big_room meeting > room meeting
announce let_channel_know let_everyone_know post_in write_in tell_channel tell_everyone heads-up > post message
  channel write
discuss discussed discussion decided_in agreed_on > search message thread
notion linear trello asana > task issue page
written_anywhere where_documented documented how_do_we how_does_our our_process our_policy guidelines have_a_page
  anything_written find_written > wiki search page
belongs_in should_be_in wrong_folder other_folder > move file folder
is_fine looks_fine go_ahead green_light give_ok okay_to_buy can_be_ordered > approve
where_sits room_of sits_where which_floor phone_of email_of > find employee office phone
after_deductions pay_in earned_in december_pay bonus > payslip salary month
checking_in_from logging_on > clock start working
i'm_off see_tomorrow heading_home knock_off knocking_off finishing_up > clock end working
overtime extra_hours minus_hours > timesheet hours worked
interested_in_job send_cv cv resume shortlisted second_round > candidate applicant hiring
faucet leak leaking leaks bulb_broken light_broken blocked_drain socket projector_broken broken_chair broken
  door_stuck cold_office carpet > report maintenance defect building room caretaker
facility facilities janitor caretaker maintenance_team through_the_ceiling ceiling roof_leaks water_coming flooded
  mould mold > maintenance building defect report
today's_menu veggie_option what's_to_eat what's_cooking mensa > canteen cafeteria menu
can't_print won't_print print_jobs nothing_comes_out printing > printer paper queue
tyres tires brake brakes mot > vehicle maintenance
ebook novel thriller > book
didn't_sign for_signing e-sign esign > sign signature
did_i_note > note search
by_friday by_monday by_tomorrow due_on until_friday on_my_plate > todo due
don't_forget forgot_to must_not_forget in_an_hour at_five > remind reminder
is_out away_until back_in while_i'm_away while_i'm_gone absent > absence office away
sick ill flu doctor's_note > sick leave absence
parental_leave maternity paternity unpaid_leave sabbatical > leave request parental unpaid
honeymoon wedding moving_house long_weekend bridge_day > leave vacation request
quits exit_interview last_working_day > offboard employee
duplicate_customer two_entries listed_twice same_guy same_person > merge contact duplicate
double_booked conflict clash overlaps > move event appointment
write_to write_that offer_comes > send email message
what_he_wrote what_she_wrote what_they_wrote reply_that we_agree agree_to answer_with > reply answer message sender
hold_it don't_mail read_it_first not_out_yet before_it_goes compose > draft message without sending
never_want never_get never_again_get stop_getting no_more_mails no_more_mail > unsubscribe mailing newsletter
sit_down sit_together get_together_for all_have_time when_could when_can_we > free time people slot
at_the_top top_of keep_visible keep_the_link > pin message channel
replies upshot outcome what_was_decided conclusion so_many_messages long_discussion > summarize thread condense long
bugs_in bugs_that that_belong tickets_of issues_of > search issue assignee
should_be_done done_by handled_by picked_up_by > assign person issue
belongs_to belongs_into not_here wrong_place put_elsewhere > move folder file
page_under text_of_page text_under show_page policy_page > read wiki page text
new_mobile new_job new_title new_surname changed_name has_moved different_email email_now different_phone
  changed_email > update contact detail person
looking_for_people developers engineers designers need_people do_we_hire are_we_looking positions nurse programmer
  salesperson job_for > job open position hiring
did_i_pay what_i_paid paid_at > transaction bank account
congratulate > birthday employee anniversary
take_his_things take_her_things hand_in_laptop collect_laptop > offboard employee equipment
say_thanks thank_everyone thank_them react_to_mail > reply answer message
rubbish trash_out take_out_the tell_me_to tell_me_at wake_me have_to_call must_call need_to_call should_call
  have_to_move have_to_pay have_to_take > reminder remind
are_banks banks_open shops_open offices_open stores_open_on > public holiday country
did_somebody_post someone_posted instructions_posted > search message channel
mark_me set_me show_that_i'm appear_as in_a_meeting do_not_disturb > status slack text
are_we_late running_late_with behind_plan in_time_for make_it_by > project timeline milestone actual planned
can't_open can't_see_file able_to_read able_to_edit able_to_open > share file access viewer
on_contact page_is_wrong page_changed info_changed > update wiki page text
save_her save_him new_customer new_contact put_her_in put_him_in > create contact person add
who_is_she which_department_is > find employee phone
getting_married married i_need_free need_off need_the_day moving_day free_on free_from > leave request vacation
new_engineer new_employee new_developer new_accountant new_designer comes_aboard > onboard employee new
manager_write manager_think written_about_me > performance review feedback
comes_to_see meets_me_here waits_downstairs ministry authority delegation > visitor reception
stays_cold stays_dark won't_turn_on won't_switch > maintenance building defect room report
all-hands townhall town_hall offsite workshop_invite might_come maybe_come i_might > invitation respond accept
  tentative
wake_me > timer reminder alarm
tell_the_people mockups_ready are_ready_tell people_know put_the_link into_channel > post message channel
make_a_ticket make_ticket file_ticket open_a_task > create issue jira
marked_blocker blockers > search issue priority
have_to_buy has_to_buy still_have_to > todo list add shopping
offer_we_made we_made_for > drive search document
autograph > signature sign
take_a_week days_remaining > vacation leave balance left
make_an_offer round_two first_round shortlist > candidate applicant status
talk_with cto > interview schedule candidate
child_ill stay_home staying_home i'm_ill > leave sick absence request
out_of_message on_my_disk > attachment save file
isn't_coming not_coming drop_tomorrow's drop_today's > cancel event
works_for_us works_for_everyone when_would_it > free slot time
ring_our our_people office_time business_hours > world clock time city
in_chat explained_in somebody_explained > search message
make_it_closed closed_group for_everyone_working > create channel private
about_the_same > link issue merge
handed_in_notice in_his_notice in_her_notice he's_gone she's_gone > offboard employee leave
take_off_me tax_take deduct > payslip salary
coming_out document_not_coming > printer queue paper
take_part participate attend > enroll course attendee
"""
